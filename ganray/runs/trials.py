"""The trials of a sweep, each of which is a run: `trials.jsonl`, a line a trial, rewritten whole in one step at every change.

The sweep's driver writes them, at the end as a table for other tools, too; its report and the command line read them.
"""

import io
import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from pydantic import TypeAdapter
from typing_extensions import TypedDict  # what pydantic validates before Python 3.12

from ganray.storage import MissingObject, ObjectStore

TRIALS, TABLE = "trials.jsonl", "results.parquet"
Params = dict[str, Any]  # {dotted path of the job: value}


class TrialStatus(StrEnum):
    """How a trial stands. `PAUSED` waits for the scheduler at a rung, `WAITING` for a worker group."""

    WAITING = "waiting"
    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
    STOPPED = "stopped"
    DIVERGED = "diverged"
    COLLAPSED = "collapsed"
    FAILED = "failed"

    @property
    def is_broken(self) -> bool:
        """Whether the trial counts as worse than all others."""
        return self in (TrialStatus.DIVERGED, TrialStatus.COLLAPSED, TrialStatus.FAILED)

    @property
    def is_active(self) -> bool:
        """Whether the trial is being trained or waits for workers."""
        return self in (TrialStatus.WAITING, TrialStatus.RUNNING)

    @property
    def is_over(self) -> bool:
        """Whether nothing of the trial is left to do."""
        return self.is_broken or self in (TrialStatus.FINISHED, TrialStatus.STOPPED)


class Rung(TypedDict):
    """A rung that a trial has reached: its best and its last score by then, and when (Unix seconds)."""

    images: int
    score: float | None
    last: float | None
    at: float


Exploit = TypedDict(  # of a population: at `images`, a trial clones the trial `from`, and explores its params
    "Exploit",
    {"images": int, "from": int, "checkpoint": str, "before": Params, "after": Params, "score": float | None, "donor_score": float | None},
)


@dataclass
class Trial:
    """One trial. `images` is where it stands, `position` the rung that it comes from, and `budget` where its present piece ends.

    `score` is the best so far and `last` that of the last evaluation, both of the sweep's metric; `curve` holds every evaluation
    as [images, score]. `num_pieces` were reported, the last with `checkpoint`. Times are Unix seconds, `busy_s` the seconds that
    workers trained it.
    """

    number: int
    params: Params
    budget: int
    status: TrialStatus = TrialStatus.WAITING
    images: int = 0
    score: float | None = None
    last: float | None = None
    best_images: int | None = None
    reason: str | None = None
    failures: int = 0
    position: int = 0
    num_pieces: int = 0
    checkpoint: str | None = None
    busy_s: float = 0.0
    started: float | None = None
    ended: float | None = None
    rungs: list[Rung] = field(default_factory=list)
    curve: list[list[int | float]] = field(default_factory=list)
    lineage: list[Exploit] = field(default_factory=list)

    @property
    def name(self) -> str:
        """What the trial is called in the store."""
        return trial_name(self.number)

    @property
    def valid_last(self) -> float | None:
        """The last score, None of a trial that broke after it."""
        return None if self.status.is_broken else self.last


_TRIAL = TypeAdapter(Trial)


def trial_name(number: int) -> str:
    """Return a trial's name; names sort by age."""
    return f"{number:04d}"


def rank_key(score: float | None, *, maximise: bool) -> float:
    """Return what sorts scores best first; a missing or non-finite score comes last."""
    if score is None or not math.isfinite(score):
        return math.inf
    return -score if maximise else score


def best_first(trials: Iterable[Trial], *, maximise: bool) -> list[Trial]:
    """Return the trials that have a score, best first; those that broke after it come last."""
    scored = [trial for trial in trials if trial.score is not None and trial.status != TrialStatus.FAILED]
    return sorted(scored, key=lambda trial: (trial.status.is_broken, rank_key(trial.score, maximise=maximise), trial.number))


def read_trials(sweep: ObjectStore) -> list[Trial]:
    """Return the trials as they were last written, by number."""
    try:
        return [_TRIAL.validate_json(line) for line in sweep.read(TRIALS).splitlines()]
    except MissingObject:
        return []


def write_trials(sweep: ObjectStore, trials: list[Trial]) -> None:
    """Write all trials, a line each."""
    sweep.write(TRIALS, "".join(json.dumps(asdict(trial)) + "\n" for trial in trials).encode())


def write_table(sweep: ObjectStore, trials: list[Trial], final_scores: dict[int, float]) -> None:
    """Write `results.parquet`: a row a trial, a column a searched field, and the finalists' second scores by trial."""
    import pyarrow as pa
    import pyarrow.parquet as pq

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
