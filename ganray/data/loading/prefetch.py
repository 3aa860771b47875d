"""Prefetching: the next steps' inputs are made in a background thread, and the time that training waits for them is measured."""

import contextlib
import itertools
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")

CLOSE_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class _Failure:
    """Stands in the queue for an item whose making raised."""

    error: BaseException


class Prefetcher(Generic[Item]):
    """A bounded queue of the items `make(images_seen)` for images_seen = start, start + step, ..., filled ahead and in order.

    At most `depth` finished items wait to be taken.
    """

    def __init__(self, make: Callable[[int], Item], *, start: int, step: int, depth: int = 3) -> None:
        self.waited_s = 0.0  # seconds that `next` has waited so far
        self._make = make
        self._outcomes: queue.Queue[Item | _Failure] = queue.Queue(depth)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._produce, args=(start, step), name="prefetch", daemon=True)
        self._thread.start()

    def next(self) -> Item:
        """Return the next step's item, waiting for it if need be. Re-raises what making it raised, at every further call too."""
        started = time.perf_counter()
        outcome = self._outcomes.get()
        self.waited_s += time.perf_counter() - started
        if isinstance(outcome, _Failure):
            self._outcomes.put(outcome)
            raise outcome.error
        return outcome

    def close(self) -> None:
        """Stop the thread after the item being made, and drop those not taken. A thread busy for over 10 s is left alone."""
        self._closed.set()
        deadline = time.monotonic() + CLOSE_TIMEOUT_S
        while self._thread.is_alive() and time.monotonic() < deadline:
            with contextlib.suppress(queue.Empty):
                self._outcomes.get_nowait()
            self._thread.join(0.01)

    def _produce(self, start: int, step: int) -> None:
        for images_seen in itertools.count(start, step):
            try:
                outcome: Item | _Failure = self._make(images_seen)
            except BaseException as error:  # re-raised by `next`
                outcome = _Failure(error)
            if self._closed.is_set():
                return
            self._outcomes.put(outcome)
            if isinstance(outcome, _Failure):
                return
