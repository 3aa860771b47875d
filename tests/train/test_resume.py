"""Whatever is killed, the same command again ends with the generator of an unbroken run, bit for bit."""

import json
import os
import shutil
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from ganray.cluster.process import started
from tests.helpers.commands import ganray_here, succeed_here
from tests.helpers.fashion import few_images
from tests.helpers.rays import SHARED_RAY
from tests.helpers.runs import (
    TINY,
    actor_processes,
    checkpoints,
    descendants,
    final_state,
    flip_last_byte,
    kill_driver,
    train,
    train_workers,
    training,
    wait_until,
)

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("ray_address")]


COMMAND = ["train", "jobs/quickstart.yaml", *TINY]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The storage of a run that nothing happened to."""
    storage = tmp_path_factory.mktemp("unbroken")
    SHARED_RAY.address()
    with few_images(2000):
        succeed_here(*COMMAND, f"storage={storage}")
    return storage


@pytest.fixture
def storage(unbroken: Path, tmp_path: Path) -> Path:
    """A storage with the dataset prepared, and no run."""
    shutil.copytree(unbroken / "datasets", tmp_path / "datasets")
    return tmp_path


def test_a_run_that_lost_a_worker_recovers_by_itself(unbroken: Path, storage: Path, ray_address: str) -> None:
    with training(storage, "--address", ray_address) as driver:
        wait_until(lambda: len(checkpoints(storage)) >= 2, driver)
        workers = train_workers(os.getpid())
        assert len(workers) == 2
        os.kill(workers[1], signal.SIGKILL)
        output, _ = driver.communicate(timeout=240)
        assert driver.returncode == 0, output
    assert final_state(storage) == final_state(unbroken)


@pytest.mark.slow
@pytest.mark.parametrize("actor", ["TrainController", "ProgressActor"])
def test_a_run_that_lost_an_actor_of_its_driver_recovers_by_itself(unbroken: Path, storage: Path, actor: str) -> None:
    with training(storage) as driver:
        wait_until(lambda: len(checkpoints(storage)) >= 2, driver)
        (process,) = actor_processes(driver.pid, actor)
        os.kill(process, signal.SIGKILL)
        output, _ = driver.communicate(timeout=240)
        assert driver.returncode == 0, output
    assert ("starting the workers again" in output) == (actor == "TrainController")
    assert final_state(storage) == final_state(unbroken)


def test_a_run_whose_driver_was_killed_goes_on_with_the_same_command(unbroken: Path, storage: Path) -> None:
    with training(storage) as driver:
        wait_until(lambda: len(checkpoints(storage)) >= 2, driver)
        processes = [driver.pid, *descendants(driver.pid)]
        kill_driver(driver)
    assert not list(storage.glob("models/tiny/*"))
    again = train(storage)
    assert again.returncode == 0, again.stderr
    assert final_state(storage) == final_state(unbroken)
    assert [pid for pid in processes if started(pid)] == []
    marks = {f"-{pid}-" for pid in processes}
    assert [folder.name for folder in Path(tempfile.gettempdir()).glob("ganray-*") if any(mark in folder.name for mark in marks)] == []


@pytest.mark.slow
def test_ctrl_c_checkpoints_and_the_same_command_goes_on(unbroken: Path, storage: Path) -> None:
    with training(storage) as driver:
        wait_until(lambda: len(checkpoints(storage)) >= 1, driver)
        os.kill(driver.pid, signal.SIGINT)
        output, _ = driver.communicate(timeout=120)
        assert driver.returncode == 130, output
    assert "the same command goes on from there" in output
    stopped_at = int(checkpoints(storage)[-1].name.split("-")[1])
    assert 3200 <= stopped_at < 19200
    assert not (storage / "runs/tiny/lock.json").exists()
    again = train(storage)
    assert again.returncode == 0, again.stderr
    assert final_state(storage) == final_state(unbroken)


@pytest.mark.slow
def test_a_run_that_starts_from_a_published_version_goes_on_bit_for_bit(unbroken: Path, storage: Path, tmp_path: Path) -> None:
    start = f"train.start_from={unbroken}/models/tiny"
    killed = tmp_path / "killed"
    shutil.copytree(unbroken / "datasets", killed / "datasets")
    whole = train(storage, start)
    assert whole.returncode == 0, whole.stderr
    with training(killed, start) as driver:
        wait_until(lambda: (killed / "runs/tiny/job.json").exists(), driver)  # before the first checkpoint, or soon after
        kill_driver(driver)
    again = train(killed, start)
    assert again.returncode == 0, again.stderr
    assert final_state(killed) == final_state(storage) != final_state(unbroken)
    lineage = json.loads(next(storage.glob("models/tiny/*/manifest.json")).read_text())["lineage"]
    assert lineage["started_from"]["model"] == "tiny"
    assert lineage["started_from"]["discriminator"] is None  # of a run in another storage


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


@pytest.mark.slow
@pytest.mark.parametrize("damage", [cut, flip_last_byte])
def test_a_damaged_checkpoint_is_reported_and_the_one_before_is_used(unbroken: Path, storage: Path, damage: Callable[[Path], None]) -> None:
    with training(storage) as driver:
        wait_until(lambda: len(checkpoints(storage)) >= 2, driver)
        kill_driver(driver)
    newest = checkpoints(storage)[-1]
    damage(newest / "state.pt")
    again = train(storage)
    assert again.returncode == 0, again.stderr
    assert f"checkpoints/{newest.name}/state.pt is not what was saved; the checkpoint before it is used" in again.stderr
    assert final_state(storage) == final_state(unbroken)


def test_a_finished_run_says_so_and_does_nothing(unbroken: Path) -> None:
    def contents() -> dict[str, int]:
        return {str(path): path.stat().st_mtime_ns for path in unbroken.rglob("*")}

    before = contents()
    assert "was finished already" in succeed_here(*COMMAND, f"storage={unbroken}")
    assert contents() == before


def test_a_second_driver_on_a_live_run_is_told_so(storage: Path, ray_address: str) -> None:
    with training(storage, "--address", ray_address) as driver:
        wait_until(lambda: (storage / "runs/tiny/lock.json").exists(), driver)
        second = ganray_here(*COMMAND, f"storage={storage}")
        assert second.returncode == 3
        assert f"run 'tiny' is being driven by process {driver.pid}" in second.stderr
        assert driver.poll() is None


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("optimizer.generator.lr=3e-3", "optimizer.generator.lr: run 'tiny' was started with 0.001 and this asks for 0.003"),
        ("train.total_images=6400", "train.total_images: run 'tiny' has 19200 and this asks for 6400; it may only be raised"),
        ("networks.width=24", "networks.width: run 'tiny' was started with 16 and this asks for 24"),
    ],
)
def test_a_changed_job_on_resume_is_an_error_that_names_the_field(unbroken: Path, override: str, says: str) -> None:
    changed = ganray_here(*COMMAND, f"storage={unbroken}", override)
    assert changed.returncode == 2
    assert says in changed.stderr


def test_metrics_are_there_once_whatever_was_replayed(unbroken: Path) -> None:
    records = [json.loads(line) for line in (unbroken / "runs/tiny/metrics.jsonl").read_text().splitlines()]
    training_records = [record for record in records if record["kind"] == "train"]
    assert [record["images_seen"] for record in training_records] == list(range(640, 19201, 640))
    assert [record["images_seen"] for record in records if record["kind"] == "score"] == [9600, 19200]
    waited = sum(record["time/data_wait_share"] for record in training_records) / len(training_records)
    assert 0 <= waited < 0.5


EVERYTHING = [  # schedules, lazy penalties, augmentation, classes, parts of batches, two discriminator steps
    "networks.conditional=true",
    "networks.ghost_batch=8",
    "loss.kind=relativistic",
    "penalties={r1_gamma: {start: 1.0, end: 0.1}, wgan_gp: 0.5, every: 3, spectral_norm: true}",
    "augment={kind: diff-augment, p: {start: 0.1, end: 0.6}}",
    "optimizer.generator.lr={start: 1e-3, end: 1e-4}",
    "train.accumulate=2",
    "train.discriminator_steps=2",
    "train.total_images=9600",
]


def test_all_that_a_job_can_ask_for_resumes_bit_by_bit(storage: Path, ray_address: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    whole = tmp_path_factory.mktemp("whole")
    shutil.copytree(storage / "datasets", whole / "datasets")
    succeed_here(*COMMAND, f"storage={whole}", *EVERYTHING)
    with training(storage, *EVERYTHING, "--address", ray_address) as driver:
        wait_until(lambda: len(checkpoints(storage)) >= 1, driver)
        kill_driver(driver, ray=os.getpid())
    succeed_here(*COMMAND, f"storage={storage}", *EVERYTHING)
    assert final_state(storage) == final_state(whole)
