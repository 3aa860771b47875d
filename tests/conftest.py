"""Fixtures that several rooms' tests share."""

import uuid
from collections.abc import Iterator

import pytest
import ray

from ganray.cluster.session import ray_session, use_settings
from tests.helpers.s3_server import READER, WRITER, S3Server, running_server


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A real S3 server, and the environment in which this process and its children write to it."""
    with running_server(tmp_path_factory.mktemp("s3")) as server, pytest.MonkeyPatch.context() as environment:
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3", "AWS_CA_BUNDLE", "AWS_MAX_ATTEMPTS"):
            environment.delenv(name, raising=False)
        for name, value in server.environment(WRITER).items():
            environment.setenv(name, value)
        yield server


@pytest.fixture
def bucket(s3_server: S3Server) -> str:
    """The `s3://bucket/prefix` of a new bucket that this process may write to."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    s3_server.client().create_bucket(Bucket=name)
    return f"s3://{name}/some/prefix"


@pytest.fixture
def read_only_identity(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes this process one that may read and list every bucket, and write to none."""
    for name, value in s3_server.environment(READER).items():
        monkeypatch.setenv(name, value)


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
