"""Stopping by signals: the first one asks, the second one interrupts, elsewhere the first one does, and handlers are put back."""

import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from ganray.cluster.signals import interrupt_on_signal, stop_on_signal


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


@pytest.fixture
def _hangup() -> Iterator[None]:
    """Puts the handler of SIGHUP back, which stays ignored after a first one."""
    before = signal.getsignal(signal.SIGHUP)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("_hangup")
def test_a_terminal_that_closes_requests_a_stop_however_often_it_is_said() -> None:
    with stop_on_signal() as stop_requested:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGHUP)
        assert stop_requested.wait(1)


@pytest.mark.usefixtures("_hangup")
def test_a_terminal_that_closes_interrupts_once_and_not_what_ends_the_driver_then() -> None:
    with pytest.raises(KeyboardInterrupt), interrupt_on_signal(), interrupt_on_signal():
        os.kill(os.getpid(), signal.SIGHUP)
    os.kill(os.getpid(), signal.SIGHUP)


def test_a_signal_interrupts_as_ctrl_c_does() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), interrupt_on_signal():
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("handled", [interrupt_on_signal, stop_on_signal])
def test_under_nohup_a_terminal_that_closes_is_ignored(handled: object) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with handled() as stop_requested:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not (stop_requested and stop_requested.is_set())
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_nothing_is_written_to_a_terminal_that_is_gone() -> None:
    script = """import os, sys
from ganray.cluster.signals import interrupt_on_signal
try:
    with interrupt_on_signal():
        print("ready", flush=True)
        sys.stdin.read()
except KeyboardInterrupt:
    print("written", flush=True)
    print("written", file=sys.stderr, flush=True)
    os._exit(130)"""
    master, terminal = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=terminal, stderr=terminal, start_new_session=True
    ) as process:
        os.close(terminal)
        assert os.read(master, 100).startswith(b"ready")
        os.close(master)
        process.send_signal(signal.SIGHUP)
        assert process.wait(20) == 130


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
