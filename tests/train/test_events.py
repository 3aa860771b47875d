"""The event recorder of a driver: from the newest metrics it makes out what died, what it cost, and when training went on."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from ray.exceptions import RayActorError
from ray.train import WorkerGroupError
from ray.train.v2._internal.exceptions import WorkerHealthCheckFailedError, WorkerHealthCheckTimeoutError

from ganray.errors import StorageError
from ganray.runs.checkpoint import STATE
from ganray.runs.event_log import EventKind, RunEvent
from ganray.runs.metrics_log import part_name
from ganray.runs.run import Run
from ganray.runs.status import Progress
from ganray.storage import open_store
from ganray.train.controller.policies import describe_failure
from ganray.train.events import EventRecorder, record_event
from ganray.train.progress import NODES, STARTED, ProgressActor


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(open_store(tmp_path), "runs/r")


def training(*, since: float, images_seen: int, started_at: int = 0, workers: int = 2, attempt: int = 0, **more: Any) -> dict[str, Any]:
    """Return the metrics of workers that train since a time."""
    started = {"time": since, "images_seen": started_at, "attempt": attempt}
    return {NODES: ["node"] * workers, STARTED: started, "images_seen": images_seen, **more}


def kinds(run: Run) -> list[str]:
    return [event.kind.value for event in run.events()]


def test_a_lost_worker_costs_seconds_and_images(run: Run) -> None:
    actor, began = ProgressActor(), time.time()
    with EventRecorder(run) as recorder:
        recorder.start(None)
        recorder.look(training(since=began, images_seen=0))
        recorder.look(training(since=began, images_seen=960))
        assert recorder.trained_at is not None
        lost_at = recorder.trained_at + 0.5
        actor.lose("rank 1 died", lost_at)
        recorder.look({**training(since=began, images_seen=960), **actor.metrics})
        recorder.look({**training(since=lost_at + 11.5, images_seen=640, started_at=640, workers=1), **actor.metrics})
        recorder.look({**training(since=lost_at + 11.5, images_seen=960, started_at=640, workers=1), **actor.metrics})
        recorder.end("done")
    assert sorted(kinds(run)) == ["end", "lost_worker", "recovery", "resize", "start", "training", "training"]
    by_kind = {event.kind: event for event in run.events()}
    assert by_kind[EventKind.LOST_WORKER].details == {"message": "rank 1 died"}
    assert by_kind[EventKind.LOST_WORKER].images_seen == 960
    assert by_kind[EventKind.RECOVERY].details == {"workers": 1, "seconds": 12.0, "images_again": 320}
    assert by_kind[EventKind.RESIZE].details == {"before": 2, "workers": 1, "seconds": 12.0}
    (record,) = run.metrics()
    assert (record["kind"], record["recovery/seconds"], record["recovery/images_again"]) == ("recovery", 12.0, 320)
    folded = [json.loads(line)["event"] for line in run.store.read("events.jsonl").splitlines()]
    assert folded == kinds(run)


def test_a_worker_that_is_lost_while_images_are_trained_again_costs_those_since_the_checkpoint(run: Run) -> None:
    began = time.time()
    with EventRecorder(run) as recorder:
        recorder.start(None)
        recorder.look(training(since=began, images_seen=960))
        recorder.lose("rank 0 died")
        recorder.look(training(since=began + 1, images_seen=640, started_at=640))
        recorder.look(training(since=began + 1, images_seen=704, started_at=640))
        recorder.lose("rank 0 died")
        recorder.look(training(since=began + 2, images_seen=640, started_at=640))
    assert [recovery.images_again for recovery in recorder.recoveries] == [320, 64]


def test_a_move_and_a_rollback_are_no_recovery(run: Run) -> None:
    with EventRecorder(run) as recorder:
        recorder.start(None)
        recorder.look(training(since=10.0, images_seen=960))
        recorder.move("there is room for more")
        recorder.look(training(since=20.0, images_seen=960, started_at=960, workers=3))
        recorder.look(training(since=30.0, images_seen=320, started_at=320, workers=3, attempt=1))
    found = kinds(run)
    assert "recovery" not in found
    assert found.count("training") == 3
    assert found.count("resize") == 1
    assert recorder.recoveries == []


def test_a_driver_after_one_that_was_killed_knows_what_is_trained_again(run: Run) -> None:
    run.append_event(RunEvent(EventKind.START, 0, 0, {}, 1.0))
    run.checkpoints.save({STATE: b""}, images_seen=640, attempt=0, progress=Progress())
    run.write_metrics(part_name(0, 640), [{"kind": "train", "images_seen": images, "attempt": 0} for images in (960, 1280)])
    with EventRecorder(run) as recorder:
        recorder.start(run.checkpoints.latest())
        recorder.look(training(since=20.0, images_seen=640, started_at=640))
    (again,) = [event for event in run.events() if event.kind == EventKind.RECOVERY]
    assert again.details == {"workers": 2, "images_again": 640}
    with EventRecorder(run) as recorder:
        recorder.start(run.checkpoints.latest())
        recorder.end("interrupted")
    with EventRecorder(run) as recorder:
        recorder.start(run.checkpoints.latest())
        recorder.look(training(since=40.0, images_seen=640, started_at=640))
    starts = [event.details.get("after_kill") for event in run.events() if event.kind == EventKind.START]
    assert starts == [None, True, True, None]


@pytest.mark.parametrize(
    ("error", "reason"), [(KeyboardInterrupt(), "interrupted"), (StorageError("storage", "gone", "come back"), "error")]
)
def test_an_end_has_a_reason(run: Run, error: BaseException, reason: str) -> None:
    def fail() -> None:
        with EventRecorder(run) as recorder:
            recorder.start(None)
            raise error

    with pytest.raises(type(error)):
        fail()
    assert run.events()[-1].details["reason"] == reason


def test_a_run_that_never_began_has_no_events(run: Run) -> None:
    def fail() -> None:
        with EventRecorder(run):
            raise StorageError("storage", "gone", "come back")

    with pytest.raises(StorageError):
        fail()
    assert list(run.store.list("")) == []


def test_an_event_that_cannot_be_written_ends_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "runs").write_text("a file where the runs would be")
    record_event(Run(open_store(tmp_path), "runs/r"), RunEvent(EventKind.START, 0, 0))
    assert "an event of run r could not be written" in caplog.text


@pytest.mark.parametrize(
    ("failures", "text"),
    [
        ({0: RuntimeError("connection closed"), 1: WorkerHealthCheckFailedError("dead", RayActorError())}, "rank 1 died"),
        (
            {1: WorkerHealthCheckTimeoutError("hanging"), 0: WorkerHealthCheckFailedError("", RayActorError())},
            "rank 1 did not answer any more",
        ),
        ({0: ValueError("first line\na defect")}, "rank 0 failed: a defect"),
        ({0: StorageError("storage", "is full", "free space")}, "rank 0 failed: storage: is full; free space"),
    ],
)
def test_a_failure_names_the_rank(failures: dict[int, Exception], text: str) -> None:
    assert describe_failure(WorkerGroupError("failed", failures)) == text
