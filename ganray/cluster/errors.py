"""Waiting for Ray's tasks, but not for ever, and the `GanrayError` inside what Ray raises for a task, worker group or controller."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import TypeVar

import ray
from ray.exceptions import (
    ActorPlacementGroupRemoved,
    LocalRayletDiedError,
    NodeDiedError,
    ObjectLostError,
    RayActorError,
    RayTaskError,
    RpcError,
    WorkerCrashedError,
)

from ganray.errors import ClusterError, GanrayError

# What Ray raises where another process, its node, or what it held, is gone or cannot be reached: no mistake of the process that waited.
LOST = (RayActorError, WorkerCrashedError, NodeDiedError, LocalRayletDiedError, ObjectLostError, RpcError, ActorPlacementGroupRemoved)
TASK_TIMEOUT_S = 1800.0  # within which one of the tasks that are waited for ends: it may wait for a node that is being started

T = TypeVar("T")


def results_of(tasks: "Sequence[ray.ObjectRef[T]]", doing: str) -> list[T]:
    """Return the results of tasks that are `doing` something. Raises what they raised, unwrapped, or as `first_done` does."""
    pending = list(tasks)
    while pending:
        pending = first_done(pending, doing)
    with unwrapped_errors():
        return ray.get(list(tasks))


def first_done(tasks: "Sequence[ray.ObjectRef[T]]", doing: str) -> "list[ray.ObjectRef[T]]":
    """Wait until one of some tasks has ended, and return the others. Raises `ClusterError` if none does for half an hour."""
    done, others = ray.wait(list(tasks), num_returns=1, timeout=TASK_TIMEOUT_S)
    if not done:
        problem = f"of {len(others):,} tasks that are {doing} none has ended for {TASK_TIMEOUT_S / 60:.0f} minutes"
        raise ClusterError("--address", problem, "see whether the cluster has room for them, or one hangs; the same command goes on")
    return list(others)


def unwrap(error: BaseException | None) -> GanrayError | None:
    """Return the `GanrayError` that an error of Ray's was caused by, without Ray's traceback text; None if there is none.

    Looks into `RayTaskError` (its `cause`), Ray Train's `WorkerGroupError` (`worker_failures`, by rank) and `ControllerError`
    (`controller_failure`), and into chained exceptions. Of an error that depends on its process it says that this was a worker.
    """
    found = _find(error)
    if found is None or found is error or not found.depends_on_process:
        return found
    return type(found)(found.field, f"{found.problem} (on the workers)", f"on every node of the cluster, {found.remedy}")


def _find(error: BaseException | None) -> GanrayError | None:
    if error is None:
        return None
    if isinstance(error, GanrayError) and not isinstance(error, RayTaskError):
        return error
    inner = [*getattr(error, "worker_failures", {}).values(), getattr(error, "cause", None), getattr(error, "controller_failure", None)]
    return next((found for cause in [*inner, error.__cause__] if (found := _find(cause))), None)


@contextlib.contextmanager
def unwrapped_errors() -> Iterator[None]:
    """Raise a `GanrayError` that a Ray task met as itself; other errors pass as they are."""
    try:
        yield
    except RayTaskError as error:
        if found := unwrap(error):
            raise found from None
        raise
