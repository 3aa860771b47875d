"""A browser that the tests of pages share."""

from collections.abc import Iterator

import pytest

from tests.helpers.browser import Browser, chromium


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser; each visit has a tab of its own."""
    with chromium(tmp_path_factory.mktemp("profile")) as browser:
        yield browser
