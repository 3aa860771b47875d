"""Where a process of a sweep is killed, it ends with the trials of an unbroken one, bit for bit, and trains nothing twice."""

import hashlib
import os
import shutil
import signal
import time
from dataclasses import asdict
from pathlib import Path

import pytest

from ganray.errors import ClusterError
from ganray.runs.trials import Trial
from tests.helpers.fashion import few_images
from tests.helpers.rays import SHARED_RAY
from tests.helpers.runs import descendants, kill_driver, train_workers, wait_until
from tests.helpers.sweeps import Watcher, checkpoints, records, sweep, sweeping

LONGER = ["train.total_images=9600", "train.checkpoint_every=1280", "evaluate.every=4800", "sweep.max_concurrent=1"]


pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("ray_address")]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The storage of a sweep that nothing happened to."""
    storage = tmp_path_factory.mktemp("unbroken")
    SHARED_RAY.address()
    with few_images(2000):
        sweep(storage, *LONGER)
    return storage


@pytest.fixture
def storage(unbroken: Path, tmp_path: Path) -> Path:
    """A storage with the dataset prepared, and no sweep."""
    shutil.copytree(unbroken / "datasets", tmp_path / "datasets")
    return tmp_path


def final_states(storage: Path) -> dict[str, str]:
    """Return hashes of what trials and publication ended with."""
    folder = storage / "sweeps/tiny"
    newest = [folder / f"trials/{trial:04d}/checkpoints/{checkpoints(folder, trial)[-1]}/state.pt" for trial in range(2)]
    files = [*newest, *storage.glob("models/tiny/*/generator.safetensors")]
    return {str(file.relative_to(storage)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


class Killer:
    """Kills, once, the processes of a name below this one, when the first trial has two checkpoints."""

    def __init__(self, storage: Path, name: str) -> None:
        self.folder, self.name = storage / "sweeps/tiny", name
        self.killed: list[int] = []

    def __call__(self, trials: list[Trial]) -> None:
        if not self.killed and len(checkpoints(self.folder, 0)) >= 2:
            self.killed = [pid for pid in descendants(os.getpid()) if self.name in _command_line(pid)]
            for pid in self.killed:
                os.kill(pid, signal.SIGKILL)


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def test_a_trial_whose_worker_was_killed_goes_on_from_its_checkpoint(
    unbroken: Path, storage: Path, caplog: pytest.LogCaptureFixture
) -> None:
    killer = Killer(storage, "RayTrainWorker")
    result = sweep(storage, *LONGER, watcher=Watcher(killer))
    assert len(killer.killed) == 1
    assert "trial 0000: its workers died; it goes on from its last checkpoint" in caplog.messages
    assert [(trial.status, trial.failures) for trial in result.trials] == [("finished", 1), ("finished", 0)]
    assert final_states(storage) == final_states(unbroken)


def test_a_trial_whose_process_in_tune_was_killed_is_trained_on_meanwhile(
    unbroken: Path, storage: Path, caplog: pytest.LogCaptureFixture
) -> None:
    killer = Killer(storage, "ResourceTrainable.train")  # as `tune.with_resources` calls a Trainable
    result = sweep(storage, *LONGER, watcher=Watcher(killer))
    assert len(killer.killed) == 1
    assert "trial 0000: its process in Ray Tune died; Tune starts another" in caplog.messages
    assert [(trial.status, trial.failures) for trial in result.trials] == [("finished", 0)] * 2
    assert final_states(storage) == final_states(unbroken)


@pytest.mark.slow
def test_a_sweep_whose_work_queue_was_killed_says_so_and_goes_on_with_the_same_command(unbroken: Path, storage: Path) -> None:
    killer = Killer(storage, "WorkQueue")
    with pytest.raises(ClusterError, match=r"sweep: the process of its work queue died; the same command goes on from there"):
        sweep(storage, *LONGER, watcher=Watcher(killer))
    assert len(killer.killed) == 1
    wait_for_workers_to_end()
    result = sweep(storage, *LONGER)
    assert [trial.status for trial in result.trials] == ["finished"] * 2
    assert final_states(storage) == final_states(unbroken)


@pytest.mark.slow
def test_a_trial_that_dies_too_often_is_given_up_and_the_sweep_goes_on(storage: Path) -> None:
    killer = Killer(storage, "RayTrainWorker")
    result = sweep(storage, *LONGER, "train.max_failures=0", watcher=Watcher(killer))
    assert [trial.status for trial in result.trials] == ["failed", "finished"]
    assert result.trials[0].reason == "its workers died more than train.max_failures=0 times"
    assert (result.winner, result.ended) == (1, "done")


def test_a_sweep_whose_driver_was_killed_goes_on_with_the_same_command(ray_address: str, unbroken: Path, storage: Path) -> None:
    folder = storage / "sweeps/tiny"
    with sweeping(storage, *LONGER, "--address", ray_address) as driver:
        wait_until(lambda: len(checkpoints(folder, 1)) >= 2, driver)
        kill_driver(driver)
        wait_for_workers_to_end()
    first, second = records(folder)
    assert (first["status"], second["status"]) == ("finished", "running")
    before = {path: path.stat().st_mtime_ns for path in folder.glob("trials/0000/**/*")}
    result = sweep(storage, *LONGER)
    assert [(trial.status, trial.failures) for trial in result.trials] == [("finished", 0)] * 2
    assert asdict(result.trials[0]) == first
    assert {path: path.stat().st_mtime_ns for path in folder.glob("trials/0000/**/*")} == before
    assert final_states(storage) == final_states(unbroken)


@pytest.mark.slow
def test_ctrl_c_checkpoints_and_the_same_command_goes_on(ray_address: str, unbroken: Path, storage: Path) -> None:
    folder = storage / "sweeps/tiny"
    with sweeping(storage, *LONGER, "--address", ray_address) as driver:
        wait_until(lambda: checkpoints(folder, 0), driver)
        os.kill(driver.pid, signal.SIGINT)
        output, _ = driver.communicate(timeout=180)
        assert driver.returncode == 130, output
    assert "the same command goes on from there" in output
    assert records(folder)[0]["status"] == "waiting"
    assert not (folder / "lock.json").exists()
    sweep(storage, *LONGER)
    assert final_states(storage) == final_states(unbroken)


def wait_for_workers_to_end() -> None:
    """Wait until the cluster has ended the workers of a driver that is gone."""
    until = time.monotonic() + 60
    while train_workers(os.getpid()):
        assert time.monotonic() < until, "workers outlive their driver"
        time.sleep(0.1)
