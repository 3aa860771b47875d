"""A sweep on the terminal: a live table of its trials where there is a terminal, a line at every change where there is none."""

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import Any

from ganray.cli.display import PlainReporter
from ganray.config import Job

ROWS = 24  # trials that a terminal shows at most: those under way, then the best
COLOURS = {"running": "cyan", "finished": "green", "diverged": "red", "collapsed": "red", "failed": "red"}


@contextlib.contextmanager
def sweep_reporter(job: Job, *, quiet: bool) -> Iterator[Any]:
    """Show a sweep's stages and trials while the block runs; on standard error, so that output can be piped."""
    if quiet or not sys.stderr.isatty():
        yield PlainSweepReporter(job, quiet=quiet)
        return
    from rich.console import Console
    from rich.live import Live

    with Live(console=Console(stderr=True), refresh_per_second=4, transient=True) as live:
        yield LiveSweepReporter(job, live)


class PlainSweepReporter(PlainReporter):
    """Lines for logs: every stage, and every trial whose status has changed."""

    def __init__(self, job: Job, *, quiet: bool) -> None:
        super().__init__(job, quiet=quiet)
        self.told: dict[int, tuple[str, int]] = {}

    def trials(self, trials: list[Any], *, slots: int) -> None:
        """Print a line for each change."""
        for trial in trials:
            state = (trial.status, trial.target)
            if self.told.get(trial.number) != state and trial.status != "waiting":
                self._print("  ".join(cells(trial)))
            self.told[trial.number] = state


class LiveSweepReporter:
    """A table that is drawn anew a few times a second."""

    def __init__(self, job: Job, live: Any) -> None:
        self.job, self.live = job, live
        self.title, self.drawn_at = "", 0.0

    def stage(self, title: str) -> None:
        """Show the stage above the table."""
        self.title = title
        self.live.console.print(title, style="dim", highlight=False)

    def advance(self, done: int, total: int) -> None:
        """The stage is all that is shown of this."""

    def training(self, progress: dict[str, Any]) -> None:
        """Trials are shown instead."""

    def say(self, line: str) -> None:
        """Print a line above the table."""
        self.live.console.print(line, style="yellow", markup=False, highlight=False)

    def trials(self, trials: list[Any], *, slots: int) -> None:
        """Draw the table."""
        if time.monotonic() - self.drawn_at > 0.25:
            self.drawn_at = time.monotonic()
            self.live.update(table(self.job, trials, slots))


def table(job: Job, trials: list[Any], slots: int) -> Any:
    """Return the table of trials: those under way first, then by score."""
    from rich.table import Table

    running = sum(trial.status == "running" for trial in trials)
    images = sum(trial.images for trial in trials)
    drawn = Table(title=f"{job.name}: {len(trials)} trials, {running} of {slots} slots busy, {images:,} images", title_justify="left")
    for name in ("trial", "status", "images", job.sweep.metric.removeprefix("metric/"), "time", *sorted(job.sweep.space)):
        drawn.add_column(name, justify="left" if name == "status" else "right", no_wrap=name in ("trial", "status"))
    worst = float("inf")
    sign = -1 if job.sweep.maximise else 1
    order = sorted(trials, key=lambda trial: (trial.status != "running", worst if trial.score is None else sign * trial.score))
    for trial in order[:ROWS]:
        fields = [short(trial.point.get(path)) for path in sorted(job.sweep.space)]
        drawn.add_row(*cells(trial)[:5], *fields, style=COLOURS.get(trial.status, ""))
    return drawn


def cells(trial: Any) -> list[str]:
    """Return a trial's name, status, images, score, time, and what else is to be said, as text."""
    until = trial.ended or time.time()
    took = int(until - trial.started) if trial.started else 0
    point = " ".join(f"{path}={short(value)}" for path, value in sorted(trial.point.items()))
    images = f"{trial.images:,}/{trial.target:,}"
    rest = [point] + ([trial.reason] if trial.reason else [])
    return [trial.name, trial.status, images, short(trial.score), f"{took // 60}:{took % 60:02d}", *rest]


def short(value: Any) -> str:
    """Return a value in few letters."""
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
