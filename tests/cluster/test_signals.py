"""Stopping by signals: the first one asks, the second one interrupts, and handlers are put back."""

import os
import signal
import threading

import pytest

from ganray.cluster.signals import stop_on_signal


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_requests_a_stop_and_the_second_interrupts(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with stop_on_signal() as stop_requested:
        assert not stop_requested.is_set()
        os.kill(os.getpid(), number)
        assert stop_requested.wait(1)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before


def test_another_thread_gets_an_event_that_no_signal_sets() -> None:
    events: list[threading.Event] = []

    def enter() -> None:
        with stop_on_signal() as stop_requested:
            events.append(stop_requested)

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert [event.is_set() for event in events] == [False]
    assert signal.getsignal(signal.SIGINT) is before
