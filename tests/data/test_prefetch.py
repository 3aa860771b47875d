"""Making items ahead of time: order, bounds, failures, and the time that the consumer waits."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from ganray.data.loading.prefetch import Prefetcher


def wait_until_still(calls: list[int]) -> None:
    """Return once `calls` has not grown for a while."""
    before = -1
    while len(calls) != before:
        before = len(calls)
        time.sleep(0.1)


def test_items_come_in_the_order_of_the_steps() -> None:
    with closing(Prefetcher(lambda images_seen: images_seen, start=64, step=32)) as prefetcher:
        assert [prefetcher.next() for _ in range(100)] == list(range(64, 64 + 3200, 32))


def test_no_more_than_the_depth_is_made_ahead() -> None:
    made: list[int] = []
    with closing(Prefetcher(made.append, start=0, step=1, depth=2)) as prefetcher:
        prefetcher.next()
        wait_until_still(made)
        assert made == [0, 1, 2, 3]  # one taken, two in the queue, and one waiting for room there


def test_items_are_made_in_another_thread() -> None:
    with closing(Prefetcher(lambda _: threading.get_ident(), start=0, step=1)) as prefetcher:
        assert prefetcher.next() != threading.get_ident()


def test_what_making_raises_is_raised_in_its_turn_and_again() -> None:
    def make(images_seen: int) -> int:
        if images_seen == 2:
            raise OSError("disk gone")
        return images_seen

    with closing(Prefetcher(make, start=0, step=1, depth=2)) as prefetcher:
        assert [prefetcher.next(), prefetcher.next()] == [0, 1]
        for _ in range(3):
            with pytest.raises(OSError, match="disk gone"):
                prefetcher.next()


def test_an_iterator_that_ends_says_so() -> None:
    items: Iterator[int] = iter([1])
    with closing(Prefetcher(lambda _: next(items), start=0, step=1)) as prefetcher:
        assert prefetcher.next() == 1
        with pytest.raises(StopIteration):
            prefetcher.next()


def test_waiting_is_measured_and_working_is_not() -> None:
    def slow(_: int) -> None:
        time.sleep(0.05)

    with closing(Prefetcher(slow, start=0, step=1)) as prefetcher:
        started = time.perf_counter()
        for _ in range(6):
            prefetcher.next()
        took = time.perf_counter() - started
        assert 0.9 * took <= prefetcher.waited_s <= took
    with closing(Prefetcher(lambda _: None, start=0, step=1)) as prefetcher:
        time.sleep(0.2)
        for _ in range(3):
            prefetcher.next()
            time.sleep(0.1)
        assert prefetcher.waited_s < 0.1


@pytest.mark.parametrize("taken", [0, 5])
def test_closing_ends_the_thread_though_the_queue_is_full(taken: int) -> None:
    made: list[int] = []
    prefetcher = Prefetcher(made.append, start=0, step=1, depth=2)
    for _ in range(taken):
        prefetcher.next()
    wait_until_still(made)
    prefetcher.close()
    before = len(made)
    time.sleep(0.1)
    assert len(made) == before
    assert "prefetch" not in [thread.name for thread in threading.enumerate()]
