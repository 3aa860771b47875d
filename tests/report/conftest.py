"""A browser that the tests of a module share, and what it looks for on a page."""

from collections.abc import Iterator

import pytest

from tests.helpers.browser import Browser, chromium


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser that a module's tests share."""
    with chromium(tmp_path_factory.mktemp("profile")) as browser:
        yield browser
