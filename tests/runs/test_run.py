"""The record of a run: what it was created with, how it stands, and that damage is found by listing or by hash."""

import json
import pickle
from pathlib import Path

import pytest
import torch

from ganray.config import Job, check_job
from ganray.data.card import DatasetCard, Skipped
from ganray.data.dataset import CARD, PreparedDataset
from ganray.errors import ConfigError, DataError, RunLocked, StorageError
from ganray.runs.checkpoint import GENERATOR, STATE, DamagedCheckpoint, read_checkpoint, serialise, serialise_to, status_of
from ganray.runs.event_log import EventKind, RunEvent
from ganray.runs.lock import LOCK, driver_lock
from ganray.runs.metrics_log import newest_images, part_name
from ganray.runs.overview import describe_run, list_runs
from ganray.runs.run import Run
from ganray.runs.status import EndReason, Progress, RunStatus, TrainingResult
from ganray.storage import ObjectStore, open_store
from tests.helpers.records import best_at
from tests.helpers.refusals import as_root, mounted

JOB = check_job({"name": "r", "use_gpu": False, "train": {"total_images": 1000, "max_seconds": 60}})


@pytest.fixture
def storage(tmp_path: Path) -> ObjectStore:
    return open_store(tmp_path)


@pytest.fixture
def run(storage: ObjectStore) -> Run:
    return Run(storage, "runs/r")


def dataset(storage: ObjectStore) -> PreparedDataset:
    """Return a dataset without samples whose card is in the storage."""
    facts = {"count": 0, "channels": 1, "height": 32, "width": 32, "rows_per_shard": 1, "shards": [], "filter": "box", "source": {}}
    made = {"skipped": Skipped(), "licence": None, "created_by": {}, "classes": None, "class_counts": None}
    card = DatasetCard(name="d", key="k", fingerprint="f", **facts, **made)
    storage.write(f"datasets/d/{CARD}", card.model_dump_json().encode())
    return PreparedDataset(storage, "datasets/d", card)


def checkpoint(run: Run, images: int, progress: Progress | None = None, **files: bytes) -> None:
    content = {STATE: serialise({"images_seen": images}), **{name.replace("_", "."): data for name, data in files.items()}}
    run.checkpoints.save(content, images_seen=images, attempt=0, progress=progress or Progress())


def test_a_run_is_what_it_was_created_with(run: Run, storage: ObjectStore) -> None:
    assert not run.exists()
    run.record(JOB, dataset(storage))
    again = Run(storage, "runs/r")
    assert again.exists()
    assert (again.job, again.dataset.folder) == (JOB, "datasets/d")
    assert pickle.loads(pickle.dumps(again)).job == JOB


def test_a_run_that_is_not_there_is_an_error_that_names_it(run: Run) -> None:
    with pytest.raises(ConfigError, match="there is no run 'r' in"):
        _ = run.job


def test_what_another_driver_has_written_is_read_again_and_else_nothing_is(run: Run, storage: ObjectStore) -> None:
    run.record(JOB, dataset(storage))
    late = Run(storage, "runs/r")
    assert late.job.train.total_images == 1000
    late.refresh()
    assert late._job is not None
    changed = check_job({**JOB.model_dump(mode="json"), "train": {**JOB.train.model_dump(mode="json"), "total_images": 20_000}})
    run.record(changed, run.dataset)
    late.refresh()
    assert late.job.train.total_images == 20_000


@pytest.mark.parametrize("lost", ["job.json", "dataset.json"])
def test_checkpoints_without_a_job_are_an_error(run: Run, storage: ObjectStore, lost: str) -> None:
    run.record(JOB, dataset(storage))
    checkpoint(run, 100)
    run.store.delete(lost)
    with pytest.raises(ConfigError, match="has checkpoints but no readable"):
        Run(storage, "runs/r").exists()


def test_a_dataset_that_is_gone_is_an_error(run: Run, storage: ObjectStore) -> None:
    run.record(JOB, dataset(storage))
    storage.delete(f"datasets/d/{CARD}")
    with pytest.raises(DataError, match="datasets/d, the dataset of run 'r', is gone"):
        Run(storage, "runs/r").exists()


@pytest.mark.parametrize(
    ("images", "progress", "until", "status"),
    [
        (None, None, None, RunStatus.NEW),
        (500, Progress(), None, RunStatus.UNFINISHED),
        (500, Progress(), 500, RunStatus.DONE),
        (1000, Progress(), None, RunStatus.DONE),
        (500, Progress(trained_s=60.0), None, RunStatus.TIME_LIMIT),
        (500, Progress(num_rollbacks=1, rolled_back=True), None, RunStatus.ROLLED_BACK),
        (500, Progress(ended=EndReason.DIVERGED, rolled_back=True), None, RunStatus.DIVERGED),
        (1000, Progress(ended=EndReason.COLLAPSED), None, RunStatus.COLLAPSED),
    ],
)
def test_a_status_follows_from_the_latest_checkpoint(
    run: Run, images: int | None, progress: Progress, until: int | None, status: RunStatus
) -> None:
    if images:
        checkpoint(run, images, progress)
    assert status_of(run.checkpoints.latest(), JOB.train, until=until) == status
    assert (status.end_reason is None) == (status in (RunStatus.NEW, RunStatus.UNFINISHED, RunStatus.ROLLED_BACK))


def test_progress_is_stored_as_it_is(run: Run) -> None:
    progress = Progress(12.5, best_at(100), EndReason.TIME_LIMIT, num_rollbacks=2, rolled_back=True, cloned_from="x")
    checkpoint(run, 100, progress)
    assert run.checkpoints.latest().progress == progress
    assert run.checkpoints.best_score() == best_at(100)


def test_progress_that_ganray_0_1_stored_is_understood() -> None:
    stored = {"trained_s": 1.0, "best": None, "ended": "time", "returns": 2, "returned": True, "copied_from": "0001@x"}
    assert Progress.from_json(stored) == Progress(1.0, None, EndReason.TIME_LIMIT, 2, True, "0001@x")


@pytest.mark.parametrize("damage", ["missing", "short", "no manifest", "broken manifest"])
def test_what_a_listing_shows_to_be_damaged_is_passed_over(run: Run, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    checkpoint(run, 100)
    checkpoint(run, 200)
    folder = Path(run.uri, "checkpoints/000-000000000200")
    match damage:
        case "missing":
            (folder / STATE).unlink()
        case "short":
            (folder / STATE).write_bytes(b"x")
        case "no manifest":
            (folder / "manifest.json").unlink()
        case "broken manifest":
            (folder / "manifest.json").write_text("{")
    for _ in range(2):
        assert run.checkpoints.latest().images_seen == 100
    assert len(caplog.messages) == (damage != "no manifest")  # of which nothing was committed
    assert all(message.endswith("; the checkpoint before it is used") for message in caplog.messages)


def test_what_only_a_hash_shows_to_be_damaged_is_found_when_it_is_read_and_not_resumed_from(run: Run) -> None:
    checkpoint(run, 100)
    checkpoint(run, 200, Progress(best=best_at(200)), generator_safetensors=b"g")
    state = Path(run.uri, "checkpoints/000-000000000200", STATE)
    state.write_bytes(state.read_bytes()[:-1] + b"!")
    damaged = run.checkpoints.latest()
    assert damaged.images_seen == 200
    with pytest.raises(DamagedCheckpoint, match=r"state\.pt is not what was saved"):
        damaged.read_state()
    run.checkpoints.discard_state(damaged)
    assert run.checkpoints.latest().images_seen == 100
    assert run.checkpoints.best().read(GENERATOR) == b"g"


def test_old_checkpoints_go_but_for_the_best(run: Run) -> None:
    for images in (100, 200, 300, 400):
        checkpoint(run, images, Progress(best=best_at(100)), generator_safetensors=b"g")
        run.checkpoints.prune(newest=f"000-{images:012d}", keep=2)
    assert [int(name[4:]) for name in run.checkpoints.names()] == [100, 300, 400]
    assert read_checkpoint(run.store, run.checkpoints.best_score().checkpoint).read(GENERATOR) == b"g"


def write_part_of_checkpoint(run: Run, images: int) -> None:
    """Leave a checkpoint as a disk that filled up does: a state that was never committed, and half of a file."""
    run.store.write(f"checkpoints/000-{images:012d}/{STATE}", b"state")
    Path(run.uri, f"checkpoints/000-{images:012d}/.tmp-0123").write_bytes(b"half")


def test_pruned_checkpoints_leave_no_empty_folders(run: Run) -> None:
    for images in (100, 200, 300):
        checkpoint(run, images)
    run.checkpoints.prune(newest="000-000000000300", keep=2)
    assert sorted(path.name for path in Path(run.uri, "checkpoints").iterdir()) == ["000-000000000200", "000-000000000300"]


def test_what_was_never_committed_is_pruned_up_to_the_newest(run: Run) -> None:
    checkpoint(run, 100)
    run.store.write(f"checkpoints/000-000000000150/{STATE}", b"state")
    checkpoint(run, 200)
    run.store.write(f"checkpoints/000-000000000300/{STATE}", b"state")
    run.checkpoints.prune(newest="000-000000000200", keep=2)
    folders = sorted(path.name for path in Path(run.uri, "checkpoints").iterdir())
    assert folders == ["000-000000000100", "000-000000000200", "000-000000000300"]


def test_a_start_removes_what_was_never_committed_and_nothing_else(run: Run) -> None:
    checkpoint(run, 100)
    write_part_of_checkpoint(run, 200)
    before = [info.key for info in run.store.list("checkpoints/000-000000000100/")]
    with driver_lock(run.store, "r") as lock:
        run.fence = lock.fence
        run.checkpoints.remove_unfinished()
        assert run.store.read(LOCK)
    assert [path.name for path in Path(run.uri, "checkpoints").iterdir()] == ["000-000000000100"]
    assert [info.key for info in run.store.list()] == before


def test_a_driver_that_lost_its_lock_removes_nothing(run: Run) -> None:
    write_part_of_checkpoint(run, 200)
    with driver_lock(run.store, "r") as lock:
        run.fence = lock.fence
    with pytest.raises(RunLocked):
        run.checkpoints.remove_unfinished()
    assert Path(run.uri, f"checkpoints/000-000000000200/{STATE}").exists()


def test_a_run_without_a_score_has_no_best(run: Run) -> None:
    checkpoint(run, 100)
    with pytest.raises(ConfigError, match="no generator with a finite score"):
        run.checkpoints.best()


def test_a_result_stands_within_its_limits_alone(run: Run) -> None:
    result = TrainingResult("r", run.uri, 1000, EndReason.DONE, {"metric/frechet": 1.0}, 1000, None)
    limits = {"total_images": 1000, "max_seconds": None}
    run.write_result(result.to_json(), limits)
    found = run.result(limits)
    assert found == {**result.to_json(), "was_finished": True}
    assert run.result({**limits, "total_images": 2000}) is None


def test_metrics_that_were_replayed_are_there_once(run: Run) -> None:
    def line(images: int, attempt: int, kind: str = "train") -> dict[str, object]:
        return {"kind": kind, "images_seen": images, "attempt": attempt}

    run.write_metrics(part_name(0, 0), [line(100, 0), line(100, 0, "event")])
    run.write_metrics(part_name(0, 0), [line(100, 0), line(100, 0, "event"), line(200, 0)])
    run.write_metrics(part_name(0, 100), [line(200, 0)])
    assert newest_images(run.store, attempt=0) == 200
    run.write_metrics(part_name(1, 100), [line(200, 1), line(300, 1)])
    expected = [line(100, 0, "event"), line(100, 0), line(200, 1), line(300, 1)]
    assert run.metrics() == expected
    run.fold_metrics()
    assert [json.loads(text) for text in run.store.read("metrics.jsonl").splitlines()] == expected


WRITES = {
    "record": lambda run: run.record(JOB, dataset(run.storage)),
    "checkpoint": lambda run: checkpoint(run, 100),
    "samples": lambda run: run.write_samples(100, {".png": b"png"}),
    "metrics": lambda run: run.write_metrics("part", [{"kind": "train", "images_seen": 1, "attempt": 0}]),
    "event": lambda run: run.append_event(RunEvent(EventKind.START, 0, 0)),
    "log": lambda run: run.fold_metrics(),
    "result": lambda run: run.write_result(TrainingResult("r", "", 0, EndReason.DONE, None, None, None).to_json(), {}),
}


@pytest.mark.parametrize("write", WRITES)
def test_a_driver_that_lost_its_lock_writes_nothing(run: Run, write: str) -> None:
    with driver_lock(run.store, "r") as lock:
        run.fence = lock.fence
        run.store.write(LOCK, b'{"id": "other", "pid": 7, "host": "elsewhere"}')
        before = [info.key for info in run.store.list()]
        with pytest.raises(RunLocked, match="taken over by process 7 on elsewhere"):
            WRITES[write](run)
        assert [info.key for info in run.store.list()] == before


def test_runs_are_listed_with_how_they_stand(run: Run, storage: ObjectStore) -> None:
    assert list_runs(storage) == []
    run.record(JOB, dataset(storage))
    checkpoint(run, 500, Progress(best=best_at(500, 2.5)), generator_safetensors=b"g")
    storage.write("runs/broken/job.json", b"{")
    broken, overview = list_runs(storage)
    assert (broken.name, broken.status) == ("broken", "unreadable")
    assert (overview.status, overview.images_seen, overview.total_images, overview.score) == ("unfinished", 500, 1000, 2.5)
    assert overview.driver is None
    with driver_lock(run.store, "r"):
        assert list_runs(storage)[1].driver is not None
    assert describe_run(storage, "r")["best at"] == "500 images"
    with pytest.raises(ConfigError, match=r"there is no run 'x' in .*; its runs: broken, r"):
        describe_run(storage, "x")


def test_a_job_is_stored_resolved(run: Run, storage: ObjectStore) -> None:
    run.record(JOB, dataset(storage))
    assert Job.model_validate(json.loads(run.store.read("job.json"))) == JOB


@as_root
def test_a_state_that_the_temporary_folder_has_no_room_for_is_an_error_of_the_environment(tmp_path: Path) -> None:
    with mounted(tmp_path / "small", "-o", "size=64k") as folder, pytest.raises(StorageError, match="no space left on device") as refused:
        serialise_to(folder / "state", {"weights": torch.zeros(100_000)})
    assert refused.value.field == "TMPDIR"
