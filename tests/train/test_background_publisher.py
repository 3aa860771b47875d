"""Publishing while training: new bests only, at most every so many images, and nobody waits for it."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ganray.config import Job, check_job
from ganray.runs.checkpoint import STATE
from ganray.runs.run import Run
from ganray.runs.status import Progress
from ganray.storage import open_store
from ganray.train import background_publisher
from ganray.train.background_publisher import BackgroundPublisher
from tests.helpers.records import best_at

JOB = check_job({"name": "r", "use_gpu": False, "publish": {"every": 100}})


class Registry:
    """Takes publications in place of the real one, and can be slow or fail."""

    def __init__(self) -> None:
        self.published: list[int] = []
        self.fails, self.may_go_on, self.tries = False, threading.Event(), 0
        self.may_go_on.set()

    def publish(self, run: Run, job: Job) -> str:
        self.may_go_on.wait()
        self.tries += 1
        if self.fails:
            raise OSError("no connection")
        self.published.append(run.checkpoints.best_score().images_seen)
        return f"version of {self.published[-1]}"


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    registry = Registry()
    monkeypatch.setattr(background_publisher, "publish_while_training", registry.publish)
    return registry


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(open_store(tmp_path), "runs/r")


@pytest.fixture
def publisher(run: Run, registry: Registry) -> Iterator[BackgroundPublisher]:
    publisher = BackgroundPublisher(run, JOB, poll_s=0.01)
    publisher.start()
    yield publisher
    registry.may_go_on.set()
    publisher.close()


def train_to(run: Run, images: int, best: int | None) -> None:
    """Leave a checkpoint as training does, with the best so far at some count of images."""
    progress = Progress(best=best_at(best) if best else None)
    run.checkpoints.save({STATE: b"s"}, images_seen=images, attempt=0, progress=progress)


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_new_bests_are_published_once_and_not_too_often(run: Run, registry: Registry, publisher: BackgroundPublisher) -> None:
    train_to(run, 150, best=150)
    until(lambda: registry.published == [150])
    train_to(run, 249, best=249)
    time.sleep(0.1)
    assert registry.published == [150]
    train_to(run, 250, best=249)
    until(lambda: registry.published == [150, 249])
    train_to(run, 900, best=249)
    time.sleep(0.1)
    assert registry.published == [150, 249]


def test_a_run_that_goes_on_waits_from_its_best(run: Run, registry: Registry) -> None:
    train_to(run, 150, best=120)
    publisher = BackgroundPublisher(run, JOB, poll_s=0.01)
    publisher.start()
    time.sleep(0.1)
    assert registry.published == []
    train_to(run, 220, best=220)
    until(lambda: registry.published == [220])
    publisher.close()


def test_what_fails_is_logged_and_tried_again(
    run: Run, registry: Registry, publisher: BackgroundPublisher, caplog: pytest.LogCaptureFixture
) -> None:
    registry.fails = True
    train_to(run, 100, best=100)
    until(lambda: registry.tries >= 3)
    registry.fails = False
    until(lambda: registry.published == [100])
    until(lambda: len(caplog.messages) == 2)
    assert caplog.messages == [
        "the best so far could not be published (no connection); it will be tried again",
        "published  version of 100",
    ]


def test_closing_waits_for_what_is_under_way_and_begins_nothing(run: Run, registry: Registry, publisher: BackgroundPublisher) -> None:
    registry.may_go_on.clear()
    train_to(run, 100, best=100)
    time.sleep(0.1)
    closing = threading.Thread(target=publisher.close)
    closing.start()
    closing.join(0.1)
    assert closing.is_alive()
    registry.may_go_on.set()
    closing.join(10)
    assert not publisher.is_alive()
    assert registry.published == [100]
