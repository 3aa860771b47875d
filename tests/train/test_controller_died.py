"""A controller that dies again and again: the driver goes on as often as the job allows, and not where it was asked to stop."""

import threading
from pathlib import Path

import pytest

from ganray.errors import ClusterError
from ganray.runs.run import Run
from ganray.storage import open_store
from ganray.train.trainer import ControllerDied, check_goes_on

DIED = ControllerDied("the process that starts the workers of run 'r' died")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(open_store(tmp_path), "runs/r")


def test_a_driver_goes_on_as_often_as_the_job_allows(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    for number in (1, 2):
        check_goes_on(DIED, run, threading.Event(), num_deaths=number, max_failures=2)
    assert caplog.messages == ["the process that starts the workers of run 'r' died; starting the workers again"] * 2
    with pytest.raises(ClusterError, match=r"more often than train\.max_failures=2 allows; .+ the same command goes on"):
        check_goes_on(DIED, run, threading.Event(), num_deaths=3, max_failures=2)


def test_a_driver_that_was_asked_to_stop_does_not_go_on(run: Run) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(KeyboardInterrupt):
        check_goes_on(DIED, run, stop, num_deaths=1, max_failures=2)
