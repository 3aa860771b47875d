"""Runs in MLflow, by a real server on loopback with SQLite: one run for a run, whatever dies, and nested ones for trials."""

import contextlib
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ganray.config import MlflowTracker
from ganray.errors import GanrayError
from ganray.runs.metrics_log import part_name
from ganray.track.process import tracking
from ganray.track.sync import Sync, send_all
from tests.helpers.drawn import EVERY, TOTAL, drawn_job, train_lines, write_run, write_trials

mlflow = pytest.importorskip("mlflow", reason="needs the extra mlflow")

STEPS = list(range(EVERY, TOTAL + 1, EVERY))


class Server:
    """An MLflow server that can be stopped and started on the same port and database."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def tracker(self) -> MlflowTracker:
        """The section of a job that names it."""
        return MlflowTracker(uri=f"http://127.0.0.1:{self.port}", experiment="faces")

    def start(self) -> None:
        """Start it, and wait until it answers."""
        binary = shutil.which("mlflow")
        if binary is None:
            pytest.skip("needs the extra mlflow: its server is not installed")
        places = ["--backend-store-uri", f"sqlite:///{self.folder}/mlflow.db", "--artifacts-destination", str(self.folder / "artifacts")]
        command = [binary, "server", *places, "--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]
        quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(command, cwd=self.folder, start_new_session=True, **quiet)
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=1)
                return
            time.sleep(0.2)
        raise TimeoutError("the MLflow server does not answer")

    def signal(self, number: int) -> None:
        """Send a signal to the server and its workers."""
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            subprocess.run(["kill", f"-{number}", "--", f"-{self.process.pid}"], check=False)
        if number in (signal.SIGKILL, signal.SIGTERM):
            self.process.wait()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that this module's tests share."""
    server = Server(tmp_path_factory.mktemp("mlflow"))
    server.start()
    yield server
    server.signal(signal.SIGKILL)


def runs_of(server: Server, storage: Path) -> list[Any]:
    """Return MLflow's runs of what lies in a storage, in the order of names."""
    client = mlflow.MlflowClient(server.tracker.uri)
    experiment = client.get_experiment_by_name("faces")
    found = client.search_runs([experiment.experiment_id]) if experiment else []
    return sorted(
        (run for run in found if run.data.tags["ganray.run"].startswith(str(storage))), key=lambda run: run.data.tags["ganray.run"]
    )


def history(server: Server, run: Any, metric: str = "loss/generator") -> list[int]:
    """Return the steps of a metric, in the order of steps; one that was sent twice is there twice."""
    return sorted(point.step for point in mlflow.MlflowClient(server.tracker.uri).get_metric_history(run.info.run_id, metric))


def test_metrics_params_grids_job_and_version_are_there(server: Server, tmp_path: Path) -> None:
    send_all([server.tracker], write_run(str(tmp_path)))
    (run,) = runs_of(server, tmp_path)
    client = mlflow.MlflowClient(server.tracker.uri)
    assert (run.info.run_name, run.info.status) == ("drawn", "FINISHED")
    assert history(server, run) == STEPS
    assert history(server, run, "metric/frechet") == [500, 750, 1000]
    assert run.data.metrics["metric/frechet"] == 1.0
    assert (run.data.params["train.batch_size"], run.data.params["penalties.r1_gamma.start"]) == ("64", "1.0")
    assert run.data.tags["ganray.version"] == f"{tmp_path}/models/drawn/0001"
    assert [file.path for file in client.list_artifacts(run.info.run_id, "samples")] == [
        f"samples/{seen:012d}.png" for seen in (250, 500, 750, 1000)
    ]
    assert "r1_gamma" in Path(client.download_artifacts(run.info.run_id, "job.yaml", str(tmp_path))).read_text()


def test_a_run_goes_on_as_the_same_run_with_nothing_twice_after_its_driver_was_killed(server: Server, tmp_path: Path) -> None:
    run = write_run(str(tmp_path), until=500)
    Sync(server.tracker, run).send()  # its process is killed after this
    write_run(str(tmp_path))  # which replays the first half
    run.record(drawn_job(train={"total_images": 2000}), run.dataset)  # what a resume has changed is no error
    send_all([server.tracker], run)
    send_all([server.tracker], run)
    (found,) = runs_of(server, tmp_path)
    assert history(server, found) == STEPS
    run.write_metrics(part_name(1, 750), [{**line, "attempt": 1} for line in train_lines(850)[-2:]])
    send_all([server.tracker], run)
    assert history(server, found) == sorted([*STEPS, 800, 850])  # of the attempt after a rollback


def test_trials_are_nested_in_the_sweep_s_run(server: Server, tmp_path: Path) -> None:
    send_all([server.tracker], write_trials(str(tmp_path), 2))
    sweep, first, second = runs_of(server, tmp_path)
    assert (sweep.info.run_name, first.info.run_name, second.info.run_name) == ("drawn", "0000", "0001")
    assert first.data.tags["mlflow.parentRunId"] == second.data.tags["mlflow.parentRunId"] == sweep.info.run_id
    assert (first.data.params["seed"], second.data.params["seed"]) == ("0", "1")
    assert history(server, second) == STEPS


def test_a_server_that_dies_in_the_middle_misses_nothing_in_the_end(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = write_run(str(tmp_path), until=500)
    with tracking(run, [server.tracker]):
        wait_for(lambda: runs_of(server, tmp_path) and len(history(server, runs_of(server, tmp_path)[0])) == 10)
        server.signal(signal.SIGKILL)
        write_run(str(tmp_path))
        wait_for(lambda: "mlflow cannot be told of the run" in caplog.text)
        server.start()
        wait_for(lambda: "mlflow has been told of the run" in caplog.text)
    (found,) = runs_of(server, tmp_path)
    assert history(server, found) == STEPS
    assert caplog.text.count("cannot be told") == 1
    assert "not all trackers" not in caplog.text


def test_a_server_that_is_frozen_at_the_end_is_told_the_rest_by_hand(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ganray.track.process.GRACE_S", 3.0)
    run = write_run(str(tmp_path), until=500)
    with tracking(run, [server.tracker]):
        wait_for(lambda: runs_of(server, tmp_path) and len(history(server, runs_of(server, tmp_path)[0])) == 10)
        server.signal(signal.SIGSTOP)
        write_run(str(tmp_path))
        since = time.monotonic()
    assert time.monotonic() - since < 10
    assert "`ganray track runs/drawn" in caplog.text
    server.signal(signal.SIGCONT)
    send_all([server.tracker], run)
    (found,) = runs_of(server, tmp_path)
    assert history(server, found) == STEPS


def test_no_server_is_an_error_in_one_line_for_the_command(tmp_path: Path) -> None:
    nobody = MlflowTracker(uri="http://127.0.0.1:9", experiment="faces")
    with pytest.raises(GanrayError, match=r"track: mlflow cannot be told of the run: .*127\.0\.0\.1"):
        send_all([nobody], write_run(str(tmp_path)))


def wait_for(condition: Any, patience: float = 120.0) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.2)
