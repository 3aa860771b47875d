"""Controllers and workers that die again and again: a driver goes on as often as the job allows, and then says so in one line."""

import threading
from pathlib import Path

import pytest
from ray.exceptions import ActorUnavailableError, NodeDiedError, ObjectLostError, RayActorError, RayTaskError
from ray.train import ControllerError, WorkerGroupError
from ray.train.v2._internal.exceptions import WorkerHealthCheckFailedError, WorkerHealthCheckTimeoutError

from ganray.config import Job
from ganray.errors import ArtifactError, ClusterError
from ganray.runs.run import Run
from ganray.storage import open_store
from ganray.train.trainer import ControllerDied, TrainingFailed, WorkersDied, check_goes_on, died_too_often, translate

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


@pytest.mark.parametrize(
    ("failures", "kind"),
    [
        ({0: RuntimeError("connection closed by peer"), 1: WorkerHealthCheckFailedError("unhealthy", RayActorError())}, WorkersDied),
        ({0: RayActorError()}, WorkersDied),
        ({0: RuntimeError("connection closed by peer"), 1: WorkerHealthCheckTimeoutError("hanging")}, WorkersDied),
        ({0: ValueError("a defect")}, TrainingFailed),
        ({0: RayTaskError("train", "traceback", ArtifactError("field", "problem", "remedy"))}, ArtifactError),
    ],
    ids=["killed", "gone", "frozen", "defect", "mistake"],
)
def test_workers_that_were_killed_are_told_from_those_that_raised(failures: dict[int, Exception], kind: type[Exception]) -> None:
    assert type(translate(WorkerGroupError("workers failed", failures), Job())) is kind


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (RayActorError(), ControllerDied),
        (ControllerError(ActorUnavailableError("Socket closed", None)), ControllerDied),
        (ControllerError(ObjectLostError("0" * 56, None, "")), ControllerDied),
        (ControllerError(NodeDiedError("its node died")), ControllerDied),
        (ControllerError(ValueError("a defect")), TrainingFailed),
        (ControllerError(RayTaskError("setup", "traceback", ArtifactError("field", "problem", "remedy"))), ArtifactError),
    ],
    ids=["dead", "unreachable", "lost", "node", "defect", "mistake"],
)
def test_a_controller_that_met_the_death_of_another_process_is_started_again(failure: Exception, kind: type[Exception]) -> None:
    assert type(translate(failure, Job())) is kind


def test_workers_that_were_killed_too_often_are_one_line_of_the_environment() -> None:
    error = died_too_often(WorkersDied("workers of run 'tiny' died"), max_failures=3)
    assert error.exit_code == 3
    assert str(error).startswith("train.max_failures: workers of run 'tiny' died, more often than train.max_failures=3 allows; see whether")
