"""Why and when workers move: off nodes that leave, if there is room elsewhere or no time left, and to more places."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from ganray.config import Job, check_job
from ganray.train import moves
from ganray.train.moves import CHECKPOINT_EVERY_S, LEAVE_BEFORE_S, MoveWatch


class Room:
    """Room for some workers, as a test has it."""

    places = 0

    def __init__(self, bundle: dict[str, float], number: int) -> None:
        self.number = number

    def has_room(self) -> bool:
        return Room.places >= self.number

    def close(self) -> None:
        """Nothing is held."""


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that have passed."""
    passed, began = [0.0], time.time()
    monkeypatch.setattr(moves.time, "monotonic", lambda: passed[0])
    monkeypatch.setattr(moves.time, "time", lambda: began + passed[0])
    return passed


@pytest.fixture
def drain(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """What drains nodes: `drain(a=120)` lets node a leave in 120 s."""
    draining: dict[str, float] = {}
    monkeypatch.setattr(moves, "draining_nodes", lambda: draining)
    monkeypatch.setattr(moves, "RoomWatch", Room)
    monkeypatch.setattr(Room, "places", 0)
    return lambda **nodes: draining.update({node: time.time() + seconds if seconds else 0.0 for node, seconds in nodes.items()})


def job(workers: Any, **train: Any) -> Job:
    networks = {"kind": "dcgan", "ghost_batch": 16}
    return check_job({"workers": workers, "use_gpu": False, "train": {"batch_size": 64, **train}, "networks": networks})


def look(watch: MoveWatch, clock: list[float], nodes: list[str], *, seconds: float = 2.0, rate: float | None = None) -> str | None:
    clock[0] += seconds
    watch.look(nodes, images_per_s=rate)
    return watch.reason


def test_a_fixed_run_goes_elsewhere_once_there_is_room(drain: Callable[..., None], clock: list[float]) -> None:
    watch = MoveWatch(job(2))
    assert look(watch, clock, ["a", "b"]) is None
    drain(b=120, other=120)
    assert look(watch, clock, ["a", "b"]) is None
    assert watch.checkpoint_requests == 1
    Room.places = 1
    assert look(watch, clock, ["a", "b"]) == "1 node of this run will leave the cluster; going on elsewhere"


def test_without_room_it_trains_on_until_shortly_before_the_deadline(
    drain: Callable[..., None], clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    watch = MoveWatch(job(2))
    drain(b=120)
    waited = 0.0
    while look(watch, clock, ["a", "b"]) is None:
        waited = clock[0]
    assert 120 - LEAVE_BEFORE_S - 4 <= waited <= 120 - LEAVE_BEFORE_S
    assert watch.checkpoint_requests == pytest.approx(waited / CHECKPOINT_EVERY_S, abs=1)
    assert watch.reason == "1 node of this run will leave the cluster, and there is no room elsewhere; waiting for some"
    assert len([message for message in caplog.messages if "training on for" in message]) == 1


def test_a_slow_run_leaves_earlier_since_it_hears_of_it_at_a_line_of_metrics(drain: Callable[..., None], clock: list[float]) -> None:
    watch = MoveWatch(job(2, log_every=2000))
    drain(b=120)
    while look(watch, clock, ["a", "b"], rate=100.0) is None:
        pass
    assert clock[0] == pytest.approx(120 - LEAVE_BEFORE_S - 2 * 20, abs=4)


@pytest.mark.parametrize(("workers", "seconds"), [({"min": 1, "max": 2}, 120), (2, 0)], ids=["elastic", "no deadline"])
def test_a_run_that_need_not_or_cannot_wait_leaves_at_once(
    drain: Callable[..., None], clock: list[float], workers: Any, seconds: float
) -> None:
    watch = MoveWatch(job(workers))
    drain(b=seconds)
    assert look(watch, clock, ["a", "b"]) == "1 node of this run will leave the cluster; going on elsewhere"
    assert watch.checkpoint_requests == 0
