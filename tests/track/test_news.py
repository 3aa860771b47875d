"""What a tracker is still to be sent of a run: everything once, in order, whatever was replayed or rolled back."""

from pathlib import Path

import pytest

from ganray.runs.event_log import EventKind, RunEvent
from ganray.runs.metrics_log import Record, part_name
from ganray.runs.run import Run
from ganray.storage import open_store
from ganray.track.news import NewsReader, Position, metrics_of
from ganray.track.stored import tracking_id


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(open_store(tmp_path), "runs/r")


def line(images_seen: int, attempt: int = 0, kind: str = "train", **values: object) -> Record:
    return {"kind": kind, "images_seen": images_seen, "attempt": attempt, "loss/generator": 1.0, "time": 5.0, **values}


def news(run: Run, position: Position) -> list[tuple[int, int]]:
    """Return (attempt, images seen) of the records that a position has not, by a reader of its own."""
    reader = NewsReader(run, position)
    reader.look(run.store.list(""))
    return [(record["attempt"], record["images_seen"]) for record in reader.records]


def test_what_is_there_is_sent_once_and_what_comes_is_sent_then(run: Run) -> None:
    reader = NewsReader(run, Position())
    run.write_metrics(part_name(0, 0), [line(10), line(20)])
    assert reader.look(run.store.list(""))
    assert len(reader.records) == 2
    reader.records.clear()
    assert not reader.look(run.store.list(""))
    run.write_metrics(part_name(0, 0), [line(10), line(20), line(20, kind="score"), line(30)])
    reader.look(run.store.list(""))
    assert [(record["images_seen"], record["kind"]) for record in reader.records] == [(20, "score"), (30, "train")]


def test_a_replay_is_not_sent_again_and_a_later_attempt_is(run: Run) -> None:
    run.write_metrics(part_name(0, 0), [line(10), line(20), line(30)])
    position = Position()
    for record in (line(10), line(20), line(30)):
        position = position.after(record)
    run.write_metrics(part_name(0, 10), [line(20, time=9.0), line(30, time=9.0), line(40, time=9.0)])
    run.write_metrics(part_name(1, 10), [line(20, attempt=1)])
    assert news(run, position) == [(0, 40), (1, 20)]
    assert news(run, Position.from_json(Position(position.records, 5, "v", 3).to_json())) == [(0, 40), (1, 20)]


def test_two_recoveries_at_one_place_are_two(run: Run) -> None:
    for when in (100.0, 200.0):
        recovery = line(10, kind="recovery", time=when, **{"recovery/seconds": 3.0})
        run.write_metrics(part_name(0, 10, writer=f"recovery-{when:.0f}"), [recovery])
    assert len(news(run, Position())) == 2


def test_grids_come_in_order_and_the_version_that_was_published_last(run: Run) -> None:
    for seen in (200, 100):
        run.write_samples(seen, {".png": b"png"})
    for seen in (100, 200):
        run.append_event(RunEvent(EventKind.PUBLISH, seen, 0, {"version": f"models/m/{seen}"}))
    reader = NewsReader(run, Position(samples=100))
    reader.look(run.store.list(""))
    assert [grid.images_seen for grid in reader.grids] == [200]
    assert reader.version == "models/m/200"


def test_only_finite_numbers_are_metrics() -> None:
    record = line(10, protocol={"seed": 0}, message="text", other=float("nan"), more=float("inf"), count=3)
    assert metrics_of(record) == {"loss/generator": 1.0, "count": 3.0}


def test_a_run_keeps_its_identity_and_another_of_its_name_has_its_own(run: Run) -> None:
    first = tracking_id(run)
    assert tracking_id(Run(run.storage, run.folder)) == first
    run.store.delete("tracking.json")
    assert tracking_id(run) != first
