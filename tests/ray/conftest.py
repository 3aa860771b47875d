"""A Ray cluster that the tests of a module share."""

from collections.abc import Iterator

import pytest
import ray

from ganray.data.session import ray_session


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The address of a local cluster for commands in processes of their own, which would spend most of their time starting one."""
    with ray_session("local"):
        yield ray.get_runtime_context().gcs_address
