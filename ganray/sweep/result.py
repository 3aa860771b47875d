"""The result of a sweep: what `ganray.run_sweep` returns, as `result.json`, and its trials as a table, `results.parquet`."""

import io
import json
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ConfigDict, TypeAdapter

from ganray.config import Job
from ganray.errors import ConfigError, TrainingDiverged
from ganray.runs.run import RESULT, Run
from ganray.runs.trials import Trial, best_first
from ganray.storage import MissingObject, ObjectStore
from ganray.sweep.driver import read_data_frame
from ganray.sweep.finalists import Finalist
from ganray.sweep.search_state import SweepEnd

TABLE = "results.parquet"


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

    __pydantic_config__ = ConfigDict(arbitrary_types_allowed=True)  # of the data frame

    def to_json(self) -> dict[str, Any]:
        """Return plain data, without the data frame."""
        plain: dict[str, Any] = _RESULT.dump_python(self, mode="json", exclude={"dataframe"}, exclude_unset=True)
        return plain


_RESULT = TypeAdapter(SweepResult)


def check_any_scored(found: SweepResult) -> None:
    """Raise `TrainingDiverged` if no trial has a score, or `ConfigError` if a limit ended the search before one could."""
    if best_first(found.trials, maximise=False):
        return
    reasons = ", ".join(sorted({trial.reason for trial in found.trials if trial.reason})) or "none was evaluated"
    problem = f"no trial has a finite score: {reasons}"
    if found.ended == SweepEnd.DONE:
        raise TrainingDiverged("sweep.space", problem, "mend what is named, or search lower learning rates")
    raise ConfigError("sweep.space", problem, f"raise sweep.{found.ended}")


def read_result(sweep: Run, job: Job) -> SweepResult | None:
    """Return the result of a sweep that has nothing left to do within a job's limits."""
    try:
        stored = json.loads(sweep.store.read(RESULT))
    except MissingObject:
        return None
    if stored.pop("limits") != _limits(job):
        return None
    return _RESULT.validate_python({**stored, "was_finished": True, "dataframe": read_data_frame(sweep.store)})


def write_result(sweep: Run, job: Job, result: SweepResult) -> None:
    """Record how a sweep ended, and within which limits."""
    sweep.check_fence()
    sweep.store.write(RESULT, (json.dumps({"limits": _limits(job), **result.to_json()}, indent=1) + "\n").encode())


def _limits(job: Job) -> dict[str, Any]:
    """Return what decides whether a sweep that has ended has more to do."""
    return job.required_sweep.model_dump(mode="json", include={"trials", "max_images", "max_hours", "finalists"})


def write_table(sweep: ObjectStore, trials: list[Trial], final_scores: dict[int, float]) -> None:
    """Write `results.parquet`: a row a trial, a column a searched field, and the finalists' second scores by trial."""
    paths = sorted({path for trial in trials for path in trial.params})
    plain = ("number", "status", "images", "score", "last", "best_images", "reason", "failures", "busy_s", "started", "ended")
    columns: dict[str, list[Any]] = {name: [getattr(trial, name) for trial in trials] for name in plain}
    columns["final_score"] = [final_scores.get(trial.number) for trial in trials]
    columns["copied_from"] = [[exploit["from"] for exploit in trial.lineage] for trial in trials]
    columns |= {path: _column([trial.params.get(path) for trial in trials]) for path in paths}
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    sweep.write(TABLE, buffer.getvalue())


def _column(values: list[Any]) -> list[Any]:
    """Return values that one type of column holds: numbers as they are, a mixture as text."""
    if all((isinstance(value, int | float) and not isinstance(value, bool)) or value is None for value in values):
        return [None if value is None else float(value) for value in values]
    return [None if value is None else str(value) for value in values]
