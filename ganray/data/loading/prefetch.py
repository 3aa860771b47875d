"""Making the next steps' inputs in a background thread, and measuring how long training waits for them."""

import contextlib
import itertools
import queue
import threading
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")

CLOSE_TIMEOUT_S = 10.0


class Prefetcher(Generic[Item]):
    """Calls `make(images_seen)` for images_seen = start, start + step, ... ahead of time, and hands the items out in order.

    `depth` items at most wait to be taken. `to_device`, if given, is applied to each item in the background thread too.
    """

    def __init__(
        self, make: Callable[[int], Any], *, start: int, step: int, depth: int = 3, to_device: Callable[[Any], Item] | None = None
    ) -> None:
        self.waited_s = 0.0  # seconds that `next` has waited so far
        self._make = make if to_device is None else lambda images_seen: to_device(make(images_seen))
        self._outcomes: queue.Queue[tuple[Item | None, BaseException | None]] = queue.Queue(depth)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._produce, args=(start, step), name="prefetch", daemon=True)
        self._thread.start()

    def next(self) -> Item:
        """Return the next step's item, waiting for it if need be. Raises whatever making it raised, also if called again."""
        started = time.perf_counter()
        item, error = self._outcomes.get()
        self.waited_s += time.perf_counter() - started
        if error is not None:
            self._outcomes.put((None, error))
            raise error
        return item

    def close(self) -> None:
        """Stop after the item being made, and forget those not taken. An item that takes over 10 s to make is left alone."""
        self._closed.set()
        deadline = time.monotonic() + CLOSE_TIMEOUT_S
        while self._thread.is_alive() and time.monotonic() < deadline:
            with contextlib.suppress(queue.Empty):
                self._outcomes.get_nowait()
            self._thread.join(0.01)

    def _produce(self, start: int, step: int) -> None:
        for images_seen in itertools.count(start, step):
            try:
                outcome = self._make(images_seen), None
            except BaseException as error:
                outcome = None, error
            if self._closed.is_set():
                return
            self._outcomes.put(outcome)
            if outcome[1] is not None:
                return
