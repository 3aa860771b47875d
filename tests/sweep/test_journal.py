"""The journal: events come back in order as they were written, a torn end is dropped, and other damage is said."""

from pathlib import Path

import pytest

from ganray.errors import DataError
from ganray.runs.trials import TrialStatus
from ganray.storage import open_store
from ganray.sweep.driver import STATE, Timer
from ganray.sweep.journal import SEGMENT, Event, Journal, Outcome, Promoted, Reported, Suggested


def events(num: int) -> list[Event]:
    """Return events of all kinds."""
    outcome = Outcome(
        TrialStatus.PAUSED, 300, score=1.5, last=2.0, best_images=100, checkpoint="000-000000000300", curve=[[100, 1.5], [300, 2.0]]
    )
    kinds = [
        Suggested(0, {"a.b": 1e-3, "c": "text"}, 1.0),
        Reported(0, 300, outcome, "PAUSE", {0: (1, {"a.b": [2]})}, 2.0),
        Promoted(0, 3.0),
    ]
    return [kinds[number % len(kinds)] for number in range(num)]


def test_events_come_back_in_order_over_several_objects(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    for event in events(SEGMENT + 3):
        Journal(store).append(event)
    again = Journal(store)
    assert again.events == events(SEGMENT + 3)
    assert sorted(path.name for path in (tmp_path / "journal").iterdir()) == ["000000.jsonl", "000001.jsonl"]
    met = []
    while event := again.expected:
        met.append(event)
        again.num_met += 1
    assert met == events(SEGMENT + 3)


@pytest.mark.parametrize("cut", [1, 20, 60])
def test_a_torn_end_is_dropped_and_the_journal_goes_on(tmp_path: Path, cut: int) -> None:
    store = open_store(tmp_path)
    for event in events(4):
        Journal(store).append(event)
    path = tmp_path / "journal/000000.jsonl"
    path.write_bytes(path.read_bytes()[:-1][:-cut])
    assert Journal(store).events == events(3)
    Journal(store).append(events(4)[3])
    assert Journal(store).events == events(4)


def test_other_damage_is_named(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    for event in events(4):
        Journal(store).append(event)
    path = tmp_path / "journal/000000.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([lines[0], lines[1][:30] + "\n", *lines[2:]]))
    with pytest.raises(DataError, match=r"the journal in .* is damaged in line 2"):
        Journal(store)


def test_a_timer_goes_on_where_the_last_driver_left_it(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.write(STATE, b'{"elapsed_s": 100.0}')
    timer = Timer(store)
    assert 100 <= timer.elapsed_s < 110
    timer.save()
    assert Timer(store).elapsed_s >= 100
