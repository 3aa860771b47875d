"""The event log of a run: what is replayed is there once, and the log is one file when a driver ends."""

import json
from pathlib import Path

import pytest

from ganray.runs.event_log import EventKind, RunEvent, recoveries, recoveries_in_words
from ganray.runs.run import Run
from ganray.storage import open_store


@pytest.fixture(params=["local", "s3"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    return Run(open_store(tmp_path if request.param == "local" else request.getfixturevalue("bucket")), "runs/r")


def test_what_follows_from_progress_is_there_once_and_what_happens_to_processes_each_time(run: Run) -> None:
    for when in (1.0, 2.0):
        run.append_event(RunEvent(EventKind.CHECKPOINT, 640, 0, {"bytes": 7}, when))
        run.append_event(RunEvent(EventKind.LOST_WORKER, 640, 0, {"message": "rank 0 died"}, when + 0.5))
    found = [(event.kind.value, event.time) for event in run.events()]
    assert found == [("checkpoint", 1.0), ("lost_worker", 1.5), ("lost_worker", 2.5)]


def test_the_folded_log_and_what_came_later_are_read_as_one(run: Run) -> None:
    first = RunEvent(EventKind.START, 0, 0, {"driver": "here:1"}, 1.0)
    run.append_event(first)
    run.fold_events()
    run.store.write(f"events/{first.name}", b"not read again")
    later = RunEvent(EventKind.END, 640, 0, {"reason": "done"}, 2.0)
    run.append_event(later)
    assert run.events() == [first, later]
    run.fold_events()
    lines = [json.loads(line) for line in run.store.read("events.jsonl").splitlines()]
    assert lines == [
        {"time": 1.0, "event": "start", "images_seen": 0, "attempt": 0, "driver": "here:1"},
        {"time": 2.0, "event": "end", "images_seen": 640, "attempt": 0, "reason": "done"},
    ]


def test_recoveries_add_up(run: Run) -> None:
    events = [
        RunEvent(EventKind.RECOVERY, 0, 0, {"seconds": 10.5, "images_again": 640}),
        RunEvent(EventKind.RECOVERY, 0, 0, {"images_again": 64}),
    ]
    assert recoveries(events) == {"recoveries": 2, "seconds": 10.5, "images_again": 704}
    assert recoveries_in_words(events) == "2 (1 of the driver), 10 s without training, 704 images trained again"
    assert recoveries_in_words(events[1:]) == "1 (1 of the driver), 64 images trained again"  # for how long, nobody knows
    assert recoveries_in_words([]) == "0, 0 s without training, 0 images trained again"
