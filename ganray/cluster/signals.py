"""Graceful shutdown: the first SIGINT or SIGTERM requests a stop, a second one interrupts."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


@contextlib.contextmanager
def stop_on_signal() -> Iterator[threading.Event]:
    """Give an event that the first SIGINT or SIGTERM sets; a second one raises `KeyboardInterrupt`.

    Python delivers signals to the main thread only: in another one the event is never set.
    """
    stop_requested = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop_requested
        return

    def request_stop(number: int, _: FrameType | None) -> None:
        stop_requested.set()
        signal.signal(number, signal.default_int_handler)

    before = {number: signal.signal(number, request_stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop_requested
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
