"""How a sweep stands: what `ganray.run_sweep` returns, and keeps in the sweep's store once it has ended."""

import io
import json
from dataclasses import asdict, dataclass, field
from typing import Any

import pandas as pd

from ganray.config import Job
from ganray.runs.run import Run
from ganray.storage import MissingObject, ObjectStore
from ganray.sweep.finalists import Finalist
from ganray.sweep.records import RESULT, Trial, TrialStatus
from ganray.sweep.search import SweepEnd
from ganray.sweep.space import sweep_of

DATAFRAME = "tune_results.json"


@dataclass(frozen=True)
class SweepResult:
    """A sweep's trials by number, and its finalists, best first. After an interruption or at a limit the same command goes on.

    `winner` is the number of the best finalist's trial, and `version` the URI that it was published as, if it was. `dataframe` is
    Ray Tune's `ResultGrid` as a data frame: the last result of each trial, and its params as `config/<dotted path>`.
    """

    name: str
    sweep: str
    ended: SweepEnd
    images_seen: int
    trials: list[Trial]
    finalists: list[Finalist] = field(default_factory=list)
    winner: int | None = None
    version: str | None = None
    was_finished: bool = False
    dataframe: pd.DataFrame | None = field(default=None, compare=False, repr=False)

    def to_json(self) -> dict[str, Any]:
        """Return plain data, without the data frame."""
        plain = {name: value for name, value in vars(self).items() if name != "dataframe"}
        trials, finalists = [asdict(trial) for trial in self.trials], [finalist.to_json() for finalist in self.finalists]
        return {**plain, "trials": trials, "finalists": finalists}


def read_result(store: ObjectStore, job: Job) -> SweepResult | None:
    """Return the result of a sweep that has nothing left to do within a job's limits."""
    try:
        stored = json.loads(store.read(RESULT))
    except MissingObject:
        return None
    if stored.pop("limits") != _limits(job):
        return None
    known: dict[str, Any] = {
        "ended": SweepEnd(stored["ended"]),
        "trials": [Trial(**{**trial, "status": TrialStatus(trial["status"])}) for trial in stored["trials"]],
        "finalists": [Finalist.from_json(row) for row in stored["finalists"]],
        "dataframe": read_dataframe(store),
    }
    return SweepResult(**{**stored, **known, "was_finished": True})


def write_result(sweep: Run, result: SweepResult, job: Job) -> None:
    """Record how a sweep ended, and within which limits."""
    sweep.check_fence()
    sweep.store.write(RESULT, (json.dumps({"limits": _limits(job), **result.to_json()}, indent=1) + "\n").encode())


def read_dataframe(store: ObjectStore) -> pd.DataFrame | None:
    """Return Tune's results as they were written when the search ended."""
    try:
        return pd.read_json(io.BytesIO(store.read(DATAFRAME)), orient="split", dtype=False, convert_dates=False)
    except MissingObject:
        return None


def write_dataframe(store: ObjectStore, frame: pd.DataFrame) -> None:
    """Write Tune's results."""
    store.write(DATAFRAME, frame.to_json(orient="split", double_precision=15).encode())


def _limits(job: Job) -> dict[str, Any]:
    """Return what decides whether a sweep that has ended has more to do."""
    sweep = sweep_of(job)
    finalists = sweep.finalists.model_dump(mode="json")
    return {"trials": sweep.trials, "max_images": sweep.max_images, "max_hours": sweep.max_hours, "finalists": finalists}
