"""Unwrapping: the `GanrayError` inside what Ray raises for a task, a worker group or a controller that failed."""

import contextlib
from collections.abc import Iterator

from ray.exceptions import RayTaskError

from ganray.errors import GanrayError


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
