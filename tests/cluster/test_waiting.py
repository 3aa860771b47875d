"""Waiting for tasks of Ray has an end: in their results, in what they raised, or in an error that says what has hung."""

import time

import pytest
import ray

from ganray.cluster import errors
from ganray.cluster.errors import first_done, results_of
from ganray.errors import ClusterError, DataError


@ray.remote(num_cpus=0)
def task(seconds: float, error: Exception | None = None) -> float:
    """Take some seconds, and return them or fail."""
    time.sleep(seconds)
    if error:
        raise error
    return seconds


@pytest.mark.cluster
@pytest.mark.usefixtures("ray_address")
def test_tasks_that_hang_are_an_error_and_others_give_their_results(monkeypatch: pytest.MonkeyPatch) -> None:
    assert results_of([task.remote(0.1), task.remote(0.0)], "sleeping") == [0.1, 0.0]
    slow = task.remote(0.5)
    assert first_done([task.remote(0.0), slow], "sleeping") == [slow]
    with pytest.raises(DataError, match="field: problem; remedy"):
        results_of([task.remote(0.0, DataError("field", "problem", "remedy"))], "failing")
    monkeypatch.setattr(errors, "TASK_TIMEOUT_S", 0.5)
    with pytest.raises(ClusterError, match="of 2 tasks that are sleeping none has ended"):
        results_of([task.remote(60.0), task.remote(60.0)], "sleeping")
