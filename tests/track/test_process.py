"""The tracking process: a tracker that hangs or fails neither stalls nor fails a run, and no process outlives its driver."""

import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from ganray.cli import group
from ganray.config import MlflowTracker, TensorBoardTracker
from ganray.errors import ConfigError
from ganray.runs.lock import driver_lock
from ganray.track.process import TrackingProcess, tracking
from ganray.track.sync import SyncThread, check_trackers
from tests.helpers.drawn import write_run
from tests.track.test_tensorboard import read, steps

HANGS = "import time\ntime.sleep(3600)\n"
REFUSES = """
class MlflowClient:
    def __init__(self, tracking_uri): pass
    def __getattr__(self, name): raise ConnectionError("no server " + name)
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package named mlflow that processes of this one import."""
    folder = tmp_path / "packages/mlflow"
    folder.mkdir(parents=True)
    (folder / "entities.py").write_text("Metric = Param = RunTag = None\n")
    (folder / "exceptions.py").write_text("class MlflowException(Exception): pass\n")
    monkeypatch.setenv("PYTHONPATH", f"{folder.parent}:{os.getcwd()}")
    return folder / "__init__.py"


def test_a_run_is_tracked_while_the_block_runs_and_to_its_end(tmp_path: Path) -> None:
    run = write_run(str(tmp_path), until=500)
    with tracking(run, [TensorBoardTracker()]):
        write_run(str(tmp_path))
    assert len(steps(read(tmp_path / "tensorboard/drawn"))) == 20


def test_a_tracker_that_hangs_is_waited_for_no_longer_than_grace(tmp_path: Path, package: Path, caplog: pytest.LogCaptureFixture) -> None:
    package.write_text(HANGS)
    run = write_run(str(tmp_path))
    process = TrackingProcess(run, [MlflowTracker(), TensorBoardTracker()], grace_s=2.0)
    deadline = time.monotonic() + 60
    while not list((tmp_path / "tensorboard").glob("*/*")) and time.monotonic() < deadline:
        time.sleep(0.1)
    since = time.monotonic()
    process.finish()
    assert time.monotonic() - since < 8
    assert process.process.poll() is not None
    assert f"not all trackers have all of drawn; `ganray track runs/drawn --storage '{tmp_path}'` sends the rest" in caplog.text
    assert len(steps(read(tmp_path / "tensorboard/drawn"))) == 20


def test_a_tracker_that_refuses_is_told_of_once(tmp_path: Path, package: Path, caplog: pytest.LogCaptureFixture) -> None:
    package.write_text(REFUSES)
    run = write_run(str(tmp_path))
    with caplog.at_level(logging.WARNING), tracking(run, [MlflowTracker()]):
        deadline = time.monotonic() + 60
        while "no server" not in caplog.text and time.monotonic() < deadline:
            time.sleep(0.1)
    assert caplog.text.count("mlflow cannot be told of the run (no server get_experiment_by_name)") == 1
    assert caplog.text.count("`ganray track runs/drawn") == 1


def test_what_a_tracker_missed_while_it_was_down_is_sent_later(tmp_path: Path) -> None:
    run, said = write_run(str(tmp_path), until=500), list[str]()
    thread = SyncThread(TensorBoardTracker(), run, said.append, poll_s=0.05)
    (tmp_path / "tensorboard").write_text("in the way")
    thread.start()
    while not said:
        time.sleep(0.02)
    write_run(str(tmp_path))
    (tmp_path / "tensorboard").unlink()
    while len(said) < 2:
        time.sleep(0.02)
    thread.finishing.set()
    thread.join()
    assert thread.is_complete
    assert "training goes on, and it will be told later" in said[0]
    assert said[1:] == ["tensorboard has been told of the run"]
    assert len(steps(read(tmp_path / "tensorboard/drawn"))) == 20


def test_the_process_ends_with_a_driver_that_is_killed(tmp_path: Path, package: Path) -> None:
    package.write_text(HANGS)
    write_run(str(tmp_path))
    script = f"""
import sys, time
from ganray.config import MlflowTracker
from ganray.runs.run import Run
from ganray.storage import open_store
from ganray.track.process import TrackingProcess
print(TrackingProcess(Run(open_store({str(tmp_path)!r}), "runs/drawn"), [MlflowTracker()], grace_s=1).process.pid, flush=True)
time.sleep(600)
"""
    driver = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert driver.stdout is not None
    child = int(driver.stdout.readline())
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    deadline = time.monotonic() + 60
    while is_alive(child):
        assert time.monotonic() < deadline, "the tracking process outlives its driver"
        time.sleep(0.05)


def is_alive(pid: int) -> bool:
    """Return whether a process runs; one that has ended and was not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_missing_package_costs_a_line_that_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ganray.track.sync.find_spec", lambda name: None)
    check_trackers([TensorBoardTracker()])
    with pytest.raises(ConfigError, match=r"track: mlflow needs a package that is not installed; pip install 'ganray\[mlflow\]'"):
        check_trackers([TensorBoardTracker(), MlflowTracker()])


def test_the_command_tells_trackers_of_a_finished_run(tmp_path: Path) -> None:
    run = write_run(str(tmp_path), "quickstart")
    done = CliRunner().invoke(group, ["track", "quickstart", "--storage", str(tmp_path), "--to", "tensorboard"], catch_exceptions=False)
    assert done.output == "told  tensorboard  of runs/quickstart\n"
    assert len(steps(read(tmp_path / "tensorboard/quickstart"))) == 20
    assert not run.store.list("lock.json")


def test_the_command_refuses_a_run_without_trackers_and_one_that_is_driven(tmp_path: Path) -> None:
    run = write_run(str(tmp_path))
    command = ["track", "drawn", "--storage", str(tmp_path)]
    with pytest.raises(ConfigError, match="NAME: the job of drawn names no tracker; name one by --to tensorboard, mlflow or wandb"):
        CliRunner().invoke(group, command, catch_exceptions=False)
    with driver_lock(run.store, run.name):
        done = CliRunner().invoke(group, [*command, "--to", "tensorboard"])
    assert "drawn" in str(done.exception)
    assert getattr(done.exception, "exit_code", None) == 3
