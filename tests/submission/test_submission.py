"""A submission's parts: its command, its record's URI, the variables that it is given, and the cluster that it goes to."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import ray
from click.testing import CliRunner

from ganray.cli import group
from ganray.config import Job, load_job
from ganray.errors import ClusterError, ConfigError, GanrayError
from ganray.submission.client import connect
from ganray.submission.package import Package
from ganray.submission.submission import KIND, RUN, make_submission, record_uri
from ganray.submission.variables import kept_back, passed_variables
from tests.helpers.runs import REPOSITORY

TRAIN, SWEEP = REPOSITORY / "jobs/quickstart.yaml", REPOSITORY / "jobs/fashion-mnist-sweep.yaml"
PACKAGE = Package(Path("/tmp/a.zip"), "jobs/a.yaml", 1, 1)
ON_S3 = {"storage": "s3://bucket/ganray?region=eu-west-1"}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS", "AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}.items():
        monkeypatch.setenv(name, value)


def job(path: Path = TRAIN, **overrides: str) -> Job:
    return load_job(path, {**ON_S3, **overrides})


def test_a_job_with_a_sweep_is_searched_and_any_other_trained() -> None:
    train = make_submission(job(), ["train.seed=a b"], PACKAGE, {})
    assert train.entrypoint == "python -m ganray train jobs/a.yaml 'train.seed=a b'"
    assert train.metadata == {"name": "quickstart", KIND: "train", RUN: "s3://bucket/ganray/runs/quickstart?region=eu-west-1"}
    sweep = make_submission(job(SWEEP), [], PACKAGE, {})
    assert sweep.entrypoint == "python -m ganray sweep jobs/a.yaml"
    assert sweep.run == "s3://bucket/ganray/sweeps/fashion-mnist-sweep?region=eu-west-1"


def test_a_relative_storage_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"'\./store' is relative"):
        record_uri(load_job(TRAIN))


def test_settings_of_s3_go_along_and_credentials_only_by_name() -> None:
    assert passed_variables(job(), []) == {"AWS_REGION": "eu-west-1"}
    assert kept_back(job(), ["AWS_REGION"]) == ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]
    passed = passed_variables(job(), ["AWS_ACCESS_KEY_ID", "AWS_REGION"])
    assert passed == {"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "key"}
    assert kept_back(job(), passed) == ["AWS_SECRET_ACCESS_KEY"]


def test_a_job_without_s3_is_given_nothing_of_it() -> None:
    local = load_job(TRAIN, {"storage": "/shared/store"})
    assert passed_variables(local, []) == {}
    assert kept_back(local, []) == []


def test_a_variable_that_is_not_set_is_an_error() -> None:
    with pytest.raises(ConfigError, match="NOWHERE is not set here"):
        passed_variables(job(), ["NOWHERE"])


def test_a_submitted_job_has_time_to_write_a_checkpoint_when_it_is_stopped() -> None:
    environment = make_submission(job(), [], PACKAGE, {"A": "b"}).arguments()["runtime_env"]
    assert environment == {"working_dir": "/tmp/a.zip", "env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": "120", "A": "b"}}


def test_a_dry_run_shows_the_package_and_asks_no_cluster() -> None:
    done = CliRunner().invoke(
        group, ["submit", str(TRAIN), "storage=s3://bucket/x", "--address", "http://127.0.0.1:1", "--dry-run", "--json"]
    )
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    assert "files" in facts["package"]
    assert facts["entrypoint"] == "python -m ganray train jobs/quickstart.yaml storage=s3://bucket/x"
    assert facts["variables"] == "AWS_REGION"
    assert facts["not passed"].startswith("AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY:")
    assert "secret" not in done.stdout


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    """A server that answers each path with what `answers` has for it: status and text."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, text = self.server.answers.get(self.path, (404, ""))  # type: ignore[attr-defined]
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as started:
        started.answers = {}  # type: ignore[attr-defined]
        threading.Thread(target=started.serve_forever, args=(0.05,), daemon=True).start()
        yield started
        started.shutdown()


def refused(address: str | None) -> GanrayError:
    with pytest.raises(GanrayError) as raised:
        connect(address)
    assert "\n" not in str(raised.value)
    return raised.value


def test_a_server_of_another_kind_or_version_is_told(server: ThreadingHTTPServer) -> None:
    address = f"http://127.0.0.1:{server.server_port}"
    assert "no Ray job server answers" in str(refused(address))
    server.answers["/api/version"] = (200, json.dumps({"ray_version": "2.31.0"}))  # type: ignore[attr-defined]
    assert f"the cluster runs Ray 2.31.0, and this ganray needs {ray.__version__}" in str(refused(address))


def test_an_address_wins_over_the_environment_which_wins_over_this_machine(
    server: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answers["/api/version"] = (200, json.dumps({"ray_version": ray.__version__}))  # type: ignore[attr-defined]
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("RAY_ADDRESS", "http://127.0.0.1:1")
    assert connect(address).page("a") == f"{address}/#/jobs/a"
    assert refused(None).field == "RAY_ADDRESS"
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", address)
    assert connect(None).url == address


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("127.0.0.1:1", "no Ray job server answers at '127.0.0.1:1'"),
        ("http://127.0.0.1:1", "no Ray job server answers"),
        ("ray://127.0.0.1:10001", "is not an address of a job server"),
        ("http://", "no Ray job server answers"),
    ],
)
def test_an_address_at_which_there_is_none_is_one_line(address: str, says: str) -> None:
    assert says in str(refused(address))


def test_jobs_without_a_cluster_are_one_line() -> None:
    for command in (["list"], ["logs", "a"], ["stop", "a"]):
        done = CliRunner().invoke(group, ["jobs", *command, "--address", "http://127.0.0.1:1"])
        assert isinstance(done.exception, ClusterError)
