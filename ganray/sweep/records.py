"""What a sweep knows of its trials, and keeps in its store: `trials.jsonl` is rewritten whole, in one step, at every change."""

import io
import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ganray.storage import MissingObject, ObjectStore, child
from ganray.sweep.space import Point, trial_name

JOB, STATE, TRIALS, TABLE, RESULT = "job.json", "state.json", "trials.jsonl", "results.parquet", "result.json"
WAITING, RUNNING, PAUSED = "waiting", "running", "paused"
FINISHED, STOPPED, DIVERGED, COLLAPSED, FAILED = "finished", "stopped", "diverged", "collapsed", "failed"
BROKE_BY_ITSELF = (DIVERGED, COLLAPSED)
BROKE = (*BROKE_BY_ITSELF, FAILED)
OVER = (FINISHED, STOPPED, *BROKE)


@dataclass
class Trial:
    """One trial. `images` is where it stands and `target` where its present leg ends; scores are of the sweep's metric.

    `score` is the best so far and `last` that of the last evaluation. `legs` are the ends of legs that it reached: {images, score,
    last, at}. `curve` holds every evaluation: [images, score]. `lineage` says whose state it copied: {images, from, checkpoint,
    before, after}. Times are Unix seconds, `busy_s` the seconds that its workers had it.
    """

    number: int
    point: Point
    target: int
    status: str = WAITING
    images: int = 0
    score: float | None = None
    last: float | None = None
    best_images: int | None = None
    reason: str | None = None
    failures: int = 0
    busy_s: float = 0.0
    started: float | None = None
    ended: float | None = None
    legs: list[dict[str, Any]] = field(default_factory=list)
    curve: list[list[float]] = field(default_factory=list)
    lineage: list[dict[str, Any]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """What the trial is called in the store."""
        return trial_name(self.number)

    @property
    def is_over(self) -> bool:
        """Whether nothing of it is left to do."""
        return self.status in OVER

    @property
    def counts_as_worst(self) -> bool:
        """Whether it has broken down."""
        return self.status in BROKE


def sweep_store(storage: ObjectStore, name: str) -> ObjectStore:
    """Return the part of a storage that holds the sweep `name`."""
    return child(storage, f"sweeps/{name}")


def trial_store(sweep: ObjectStore, number: int) -> ObjectStore:
    """Return the part of a sweep's store that holds a trial: it is laid out like a run's."""
    return child(sweep, f"trials/{trial_name(number)}")


def rank_key(score: float | None, *, maximise: bool) -> float:
    """Return what sorts scores best first; no score, or one that is no number, comes last."""
    if score is None or not math.isfinite(score):
        return math.inf
    return -score if maximise else score


def best_first(trials: Iterable[Trial], *, maximise: bool) -> list[Trial]:
    """Return the trials that have a score, best first."""
    scored = [trial for trial in trials if trial.score is not None and trial.status != FAILED]
    return sorted(scored, key=lambda trial: (rank_key(trial.score, maximise=maximise), trial.number))


def read_trials(sweep: ObjectStore) -> list[Trial]:
    """Return the trials as they were last written, by number."""
    try:
        lines = sweep.read(TRIALS).splitlines()
    except MissingObject:
        return []
    return [Trial(**json.loads(line)) for line in lines]


def write_trials(sweep: ObjectStore, trials: list[Trial]) -> None:
    """Write all trials, a line each."""
    sweep.write(TRIALS, "".join(json.dumps(asdict(trial)) + "\n" for trial in trials).encode())


def write_table(sweep: ObjectStore, trials: list[Trial], finalists: list[dict[str, Any]]) -> None:
    """Write `results.parquet`: a row a trial, a column a searched field, and the finalists' second scores."""
    again = {row["trial"]: row["score"] for row in finalists}
    paths = sorted({path for trial in trials for path in trial.point})
    plain = ("number", "status", "images", "score", "last", "best_images", "reason", "failures", "busy_s", "started", "ended")
    columns: dict[str, list[Any]] = {name: [getattr(trial, name) for trial in trials] for name in plain}
    columns["final_score"] = [again.get(trial.number) for trial in trials]
    columns["copied_from"] = [[copy["from"] for copy in trial.lineage] for trial in trials]
    columns |= {path: _column([trial.point.get(path) for trial in trials]) for path in paths}
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    sweep.write(TABLE, buffer.getvalue())


def _column(values: list[Any]) -> list[Any]:
    """Return values that one type of column holds: numbers as they are, a mixture as text."""
    if all((isinstance(value, int | float) and not isinstance(value, bool)) or value is None for value in values):
        return [None if value is None else float(value) for value in values]
    return [None if value is None else str(value) for value in values]
