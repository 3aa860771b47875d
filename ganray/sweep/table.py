"""A sweep on the terminal: a live table of its trials where there is a terminal, a line at every change where there is none."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ganray.config import Job
from ganray.errors import plural

if TYPE_CHECKING:
    from rich.table import Table

    from ganray.sweep.records import Trial

ROWS = 24  # trials that a terminal shows at most: those under way, then the best
COLOURS = {"running": "cyan", "finished": "green", "diverged": "red", "collapsed": "red", "failed": "red"}


class SweepView:
    """Draws the trials of a sweep: a table, or a line for each trial whose status has changed."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.shown: dict[int, tuple[str, int]] = {}

    def draw(self, snapshot: "list[Trial]") -> "Table":
        """Return the table of a sweep's trials."""
        return table(self.job, snapshot)

    def lines(self, snapshot: "list[Trial]") -> list[str]:
        """Return a line for each change."""
        changed = []
        for trial in snapshot:
            state = (trial.status, trial.budget)
            if self.shown.get(trial.number) != state and trial.status != "waiting":
                changed.append("  ".join(cells(trial)))
            self.shown[trial.number] = state
        return changed


def table(job: Job, trials: "list[Trial]") -> "Table":
    """Return the table of trials: those under way first, then by score."""
    from rich.table import Table

    running = sum(trial.status == "running" for trial in trials)
    images = sum(trial.images for trial in trials)
    drawn = Table(title=f"{job.name}: {plural(len(trials), 'trial')}, {running} running, {images:,} images", title_justify="left")
    sweep = job.required_sweep
    for name in ("trial", "status", "images", sweep.metric.removeprefix("metric/"), "time", *headers(sorted(sweep.space))):
        drawn.add_column(name, justify="left" if name == "status" else "right", no_wrap=name in ("trial", "status"), overflow="fold")
    worst = float("inf")
    sign = -1 if sweep.maximise else 1
    order = sorted(trials, key=lambda trial: (trial.status != "running", worst if trial.score is None else sign * trial.score))
    for trial in order[:ROWS]:
        fields = [short(trial.params.get(path)) for path in sorted(sweep.space)]
        drawn.add_row(*cells(trial)[:5], *fields, style=COLOURS.get(trial.status, ""))
    return drawn


def headers(paths: Sequence[str]) -> list[str]:
    """Return the shortest ends of dotted paths, of two names or more, by which they can be told apart: `generator.lr`."""
    return [next((end for end in _ends(path) if sum(f".{other}".endswith(f".{end}") for other in paths) == 1), path) for path in paths]


def _ends(path: str) -> list[str]:
    names = path.split(".")
    return [".".join(names[-length:]) for length in range(min(2, len(names)), len(names) + 1)]


def cells(trial: "Trial") -> list[str]:
    """Return a trial's name, status, images, score, time, and what else is to be said, as text."""
    until = trial.ended or time.time()
    took = int(until - trial.started) if trial.started else 0
    params = " ".join(f"{path}={short(value)}" for path, value in sorted(trial.params.items()))
    images = f"{trial.images:,}/{trial.budget:,}"
    rest = [params] + ([trial.reason] if trial.reason else [])
    return [trial.name, trial.status, images, short(trial.score), f"{took // 60}:{took % 60:02d}", *rest]


def short(value: Any) -> str:
    """Return a value in few letters."""
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
