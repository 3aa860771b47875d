"""A Ray cluster that the tests of a module share."""

from collections.abc import Iterator

import pytest
import ray

from ganray.data.session import ray_session, use_settings


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The address of a local cluster for commands in processes of their own, which would spend most of their time starting one."""
    with ray_session("local"):
        yield ray.get_runtime_context().gcs_address


@pytest.fixture(scope="module")
def two_cpus() -> Iterator[str]:
    """The address of a local cluster of two CPUs with a dashboard, to which this process is connected, too."""
    use_settings()
    ray.init(address="local", num_cpus=2, include_dashboard=True, log_to_driver=False)
    yield ray.get_runtime_context().gcs_address
    ray.shutdown()
