"""Signals of a driver: SIGTERM, and SIGHUP of a terminal that closes, end it as Ctrl-C does. While training, the first one checkpoints."""

import contextlib
import os
import signal
import stat
import threading
from collections.abc import Callable, Iterator
from types import FrameType

Handler = Callable[[int, FrameType | None], None]


@contextlib.contextmanager
def interrupt_on_signal() -> Iterator[None]:
    """While the block runs, SIGTERM and SIGHUP raise `KeyboardInterrupt`. Without effect outside the main thread."""

    def interrupt(number: int, _: FrameType | None) -> None:
        _prepare_to_end(number)
        raise KeyboardInterrupt

    with _handled(interrupt, signal.SIGTERM, signal.SIGHUP):
        yield


@contextlib.contextmanager
def stop_on_signal() -> Iterator[threading.Event]:
    """Give an event that the first SIGINT, SIGTERM or SIGHUP sets; a second SIGINT or SIGTERM raises `KeyboardInterrupt`.

    Python delivers signals to the main thread only: in another one the event is never set.
    """
    stop_requested = threading.Event()

    def request_stop(number: int, _: FrameType | None) -> None:
        stop_requested.set()
        signal.signal(number, signal.default_int_handler)
        _prepare_to_end(number)

    with _handled(request_stop, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        yield stop_requested


@contextlib.contextmanager
def _handled(handler: Handler, *numbers: signal.Signals) -> Iterator[None]:
    """Have signals handled while the block runs; SIGHUP stays ignored where it is, as under nohup and after a first one."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    taken = [number for number in numbers if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, handler) for number in taken}
    try:
        yield
    finally:
        for number, previous in before.items():
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, previous)


def _prepare_to_end(number: int) -> None:
    """After a SIGHUP, which kernel and shell may both send, ignore others for good, and write no more to a terminal that is gone."""
    if number != signal.SIGHUP:
        return
    signal.signal(number, signal.SIG_IGN)
    for descriptor in (1, 2):
        with contextlib.suppress(OSError):
            if stat.S_ISCHR(os.fstat(descriptor).st_mode) and not os.isatty(descriptor):
                os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
