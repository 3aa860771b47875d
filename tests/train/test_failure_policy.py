"""Workers that failed are started again, unless it was for a mistake of the user, which no other try mends."""

from pathlib import Path
from typing import Any

import pytest
from ray.exceptions import RayTaskError
from ray.train import ControllerError, FailureConfig, RunConfig, ScalingConfig, WorkerGroupError
from ray.train.v2._internal.execution.failure_handling import FailureDecision

from ganray.cluster.errors import unwrap
from ganray.errors import ArtifactError, ClusterError, ConfigError, DataError, GanrayError, StorageError
from ganray.train.controller.policies import MistakesAreFinal, Trainer

LOST = OSError("connection closed by peer")


def mistake(kind: type[GanrayError]) -> GanrayError:
    return kind("field", "problem", "remedy")


@pytest.mark.parametrize(
    ("failures", "decision"),
    [
        ({0: mistake(DataError)}, FailureDecision.RAISE),
        ({0: mistake(ConfigError), 1: LOST}, FailureDecision.RAISE),
        ({0: LOST, 1: mistake(ArtifactError)}, FailureDecision.RAISE),
        ({0: RayTaskError("task", "traceback", mistake(DataError))}, FailureDecision.RAISE),
        ({0: LOST}, FailureDecision.RETRY),
        ({0: mistake(StorageError)}, FailureDecision.RETRY),
        ({0: mistake(ClusterError)}, FailureDecision.RETRY),
        ({0: ValueError("a defect")}, FailureDecision.RETRY),
    ],
)
def test_a_mistake_is_final_and_what_may_pass_is_tried_again(failures: dict[int, Exception], decision: FailureDecision) -> None:
    policy = MistakesAreFinal(FailureConfig(max_failures=2))
    assert policy.make_decision(WorkerGroupError("workers failed", failures)) == decision


def test_tries_end_and_controllers_errors_are_as_ray_train_has_them() -> None:
    policy = MistakesAreFinal(FailureConfig(max_failures=1))
    decisions = [policy.make_decision(WorkerGroupError("workers failed", {0: LOST})) for _ in range(2)]
    assert decisions == [FailureDecision.RETRY, FailureDecision.RAISE]
    assert policy.make_decision(ControllerError(LOST)) == FailureDecision.RAISE


def fail(config: dict[str, Any]) -> None:
    """Leave a trace of this start, and fail."""
    starts = Path(config["folder"])
    (starts / str(len(list(starts.iterdir())))).touch()
    raise config["error"]


@pytest.mark.cluster
@pytest.mark.usefixtures("ray_address")
@pytest.mark.parametrize(("error", "num_starts"), [(mistake(DataError), 1), (LOST, 2)])
def test_ray_train_asks_the_policy(error: Exception, num_starts: int, tmp_path: Path) -> None:
    (tmp_path / "starts").mkdir()
    trainer = Trainer(
        fail,
        train_loop_config={"folder": str(tmp_path / "starts"), "error": error},
        scaling_config=ScalingConfig(num_workers=1),
        run_config=RunConfig(name="run", storage_path=str(tmp_path / "ray"), failure_config=FailureConfig(max_failures=1)),
    )
    with pytest.raises(WorkerGroupError) as raised:
        trainer.fit()
    assert len(list((tmp_path / "starts").iterdir())) == num_starts
    assert (unwrap(raised.value) is not None) == (num_starts == 1)
