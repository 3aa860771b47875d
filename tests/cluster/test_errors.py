"""Unwrapping what Ray wraps: a `GanrayError` comes out of tasks, workers and controllers as it went in."""

import pytest
import ray
from ray.exceptions import RayTaskError
from ray.train import ControllerError, WorkerGroupError

from ganray.cluster.errors import unwrap, unwrapped_errors
from ganray.errors import DataError, GanrayError

MISTAKE = DataError("data.source.path", "expected images, got none", "name a folder with images")


def test_a_mistake_is_found_however_deep_it_is_wrapped() -> None:
    chained = RuntimeError("a step failed")
    chained.__cause__ = MISTAKE
    for error in (MISTAKE, chained, RayTaskError("task", "traceback", MISTAKE), RayTaskError("task", "traceback", chained)):
        assert unwrap(error) is MISTAKE
        assert unwrap(WorkerGroupError("workers failed", {0: OSError("lost"), 1: error})) is MISTAKE
        assert unwrap(ControllerError(error)) is MISTAKE


def test_other_errors_are_none_of_the_users() -> None:
    for error in (None, OSError("lost"), WorkerGroupError("workers failed", {0: OSError("lost")}), ControllerError(OSError("lost"))):
        assert unwrap(error) is None


@pytest.mark.cluster
@pytest.mark.usefixtures("ray_address")
def test_a_task_raises_what_its_function_raised() -> None:
    @ray.remote(num_cpus=0)
    def fail(error: Exception) -> None:
        raise error

    with pytest.raises(GanrayError) as raised, unwrapped_errors():
        ray.get(fail.remote(MISTAKE))
    assert type(raised.value) is DataError
    assert str(raised.value) == str(MISTAKE)
    with pytest.raises(OSError, match="lost"), unwrapped_errors():
        ray.get(fail.remote(OSError("lost")))
