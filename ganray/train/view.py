"""What a run looks like while it trains: a live view where there is a terminal to draw on, plain lines now and then elsewhere.

All of it goes to standard error, so that output can be piped.
"""

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import click

from ganray.cluster.submitted import show_status
from ganray.config import Job

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live
    from rich.progress import Progress

PLAIN_EVERY_S = 5.0
ADVANCE_EVERY_S = 10.0  # between plain lines of how far a stage is
DRAW_EVERY_S = 0.25


class View(Protocol):
    """How a snapshot of the work is drawn: for a live terminal, and as lines that were not shown before."""

    def draw(self, snapshot: Any) -> "RenderableType":
        """Return what a terminal shows of a snapshot."""

    def lines(self, snapshot: Any) -> list[str]:
        """Return the lines that a log shows of a snapshot."""


class ConsoleReporter:
    """Shows stages and snapshots by a view, on a live terminal or, without one, as plain lines, which `print_line` takes."""

    def __init__(self, view: View, live: "Live | None", *, quiet: bool, print_line: Callable[[str], None] | None = None) -> None:
        self.view, self.live, self.quiet = view, live, quiet
        self.print_line = print_line or print_error_line
        self.bar: Progress | None = None
        self.title = ""
        self.shown_at = 0.0

    def stage(self, title: str) -> None:
        """Show a spinner with the stage's title, or print the title."""
        if self.live is None:
            self.title, self.shown_at = title, time.monotonic()
            self._print([title])
            return
        self.bar = progress_columns()
        self.bar.add_task(title, total=None)
        self.live.update(self.bar)

    def advance(self, done: int, total: int) -> None:
        """Move the stage's bar, or print how far it is now and then."""
        if self.live and self.bar:
            self.bar.update(self.bar.task_ids[0], completed=done, total=total)
        elif self.live is None and total and time.monotonic() - self.shown_at > ADVANCE_EVERY_S:
            self.shown_at = time.monotonic()
            self._print([f"{self.title}  {done / total:.0%}"])

    def update(self, snapshot: Any) -> None:
        """Draw a snapshot, a few times a second at most, or print its lines."""
        if self.live is None:
            self._print(self.view.lines(snapshot))
        elif time.monotonic() - self.shown_at > DRAW_EVERY_S:
            self.shown_at = time.monotonic()
            self.live.update(self.view.draw(snapshot))

    def _print(self, lines: list[str]) -> None:
        for line in [] if self.quiet else lines:
            self.print_line(line)
        if lines:
            show_status(lines[-1])


def print_error_line(line: str) -> None:
    """Print a line to standard error."""
    click.echo(line, err=True)


def line_reporter(view: View) -> ConsoleReporter:
    """Return the reporter of a program or notebook that has not given its own: it prints lines, and leaves the terminal alone."""
    return ConsoleReporter(view, None, quiet=False)


class TrainingView:
    """Draws the newest metrics of a run: a bar, and images seen, rate, losses, score and time left as far as they are known."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.shown_at, self.shown = 0.0, ""

    def draw(self, snapshot: Mapping[str, Any]) -> "RenderableType":
        """Return a bar with the metrics behind it."""
        from rich.console import Group
        from rich.text import Text

        bar = progress_columns()
        bar.update(bar.add_task("training", total=1.0), completed=fraction_done(self.job, snapshot))
        return Group(bar, Text(training_line(self.job, snapshot)))

    def lines(self, snapshot: Mapping[str, Any]) -> list[str]:
        """Return a line if something changed, every few seconds."""
        line = training_line(self.job, snapshot)
        if line == self.shown or time.monotonic() - self.shown_at <= PLAIN_EVERY_S:
            return []
        self.shown_at, self.shown = time.monotonic(), line
        return [line]


def training_line(job: Job, metrics: Mapping[str, Any]) -> str:
    """Return images seen, images/s, losses, last score and time left, as far as they are known."""
    parts = [f"{metrics.get('images_seen', 0):,}/{job.train.total_images:,} images"]
    if rate := metrics.get("time/images_per_s"):
        parts += [f"{rate:,.0f}/s"]
    if "loss/discriminator" in metrics:
        parts += [f"loss D {metrics['loss/discriminator']:.3f} G {metrics['loss/generator']:.3f}"]
    if "metric/frechet" in metrics:
        parts.append(f"frechet {metrics['metric/frechet']:.2f}")
    if stage := metrics.get("stage"):
        return "  ".join([*parts, f"{stage} {metrics['stage_done']:.0%}"])
    if (left := seconds_left(job, metrics)) is not None:
        parts.append(f"{int(left) // 60}:{int(left) % 60:02d} left")
    return "  ".join(parts)


def seconds_left(job: Job, metrics: Mapping[str, Any]) -> float | None:
    """Return the seconds of training that are left, by the images or by the time limit, whichever ends first."""
    rate = metrics.get("time/images_per_s")
    if not rate:
        return None
    by_images = (job.train.total_images - metrics["images_seen"]) / rate
    by_time = job.train.max_seconds - metrics["time/trained_s"] if job.train.max_seconds else by_images
    return float(max(min(by_images, by_time), 0.0))


def fraction_done(job: Job, metrics: Mapping[str, Any]) -> float:
    """Return how much of the training is done, 0 to 1, by whichever limit is nearer."""
    by_images = metrics.get("images_seen", 0) / job.train.total_images
    by_time = metrics.get("time/trained_s", 0.0) / job.train.max_seconds if job.train.max_seconds else 0.0
    return float(max(by_images, by_time))


def progress_columns() -> "Progress":
    """Return a bar of the style that all of ganray's have."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=24), TaskProgressColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)
