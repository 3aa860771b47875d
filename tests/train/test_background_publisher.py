"""Publishing while training: new bests only, at most every so many images, and nobody waits for it."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ganray.train.background_publisher import BestPublisher, PublishingReporter
from ganray.train.reporter import LogReporter


class Run:
    """A run's best as the store would tell it, and what became of it."""

    def __init__(self) -> None:
        self.best: dict[str, Any] | None = None
        self.published: list[str] = []
        self.said: list[str] = []
        self.fails, self.may_go_on = False, threading.Event()
        self.may_go_on.set()

    def publish(self) -> str:
        self.may_go_on.wait()
        if self.fails:
            raise OSError("no connection")
        self.published.append(self.best["checkpoint"])
        return self.best["checkpoint"]


@pytest.fixture
def run() -> Run:
    return Run()


@pytest.fixture
def publisher(run: Run) -> Iterator[BestPublisher]:
    publisher = BestPublisher(lambda: run.best, run.publish, every=100, since=0, say=run.said.append, poll_s=0.01)
    yield publisher
    run.may_go_on.set()
    publisher.close()


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_new_bests_are_published_once_and_not_too_often(run: Run, publisher: BestPublisher) -> None:
    publisher.notice({"images_seen": 150})
    run.best = {"checkpoint": "a"}
    until(lambda: run.published == ["a"])
    run.best = {"checkpoint": "b"}
    publisher.notice({"images_seen": 249})
    time.sleep(0.1)
    assert run.published == ["a"]
    publisher.notice({"images_seen": 250})
    until(lambda: run.published == ["a", "b"])
    publisher.notice({"images_seen": 900})
    time.sleep(0.1)
    assert run.published == ["a", "b"]


def test_nobody_waits_for_a_publication(run: Run, publisher: BestPublisher) -> None:
    run.may_go_on.clear()
    run.best = {"checkpoint": "a"}
    reporter = PublishingReporter(LogReporter(), publisher)
    start = time.perf_counter()
    for images in range(0, 100_000, 100):
        reporter.training({"images_seen": images})
    assert time.perf_counter() - start < 1.0
    assert run.published == []
    run.may_go_on.set()
    until(lambda: run.published == ["a"])


def test_what_fails_is_said_and_tried_again(run: Run, publisher: BestPublisher) -> None:
    run.fails, run.best = True, {"checkpoint": "a"}
    publisher.notice({"images_seen": 100})
    until(lambda: run.said)
    run.fails = False
    until(lambda: run.published == ["a"])
    assert run.said == ["the best so far could not be published (no connection); it will be tried again", "published  a"]


def test_closing_waits_for_what_is_under_way_and_begins_nothing(run: Run, publisher: BestPublisher) -> None:
    run.may_go_on.clear()
    run.best = {"checkpoint": "a"}
    publisher.notice({"images_seen": 100})
    closing = threading.Thread(target=publisher.close)
    until(lambda: publisher.thread.is_alive())
    time.sleep(0.1)
    closing.start()
    closing.join(0.1)
    assert closing.is_alive()
    run.may_go_on.set()
    closing.join(10)
    assert not publisher.thread.is_alive()
    assert run.published == ["a"]
