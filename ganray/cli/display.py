"""Progress on the terminal: a live line where there is a terminal, a plain line now and then where there is none."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import click

from ganray.config import Job

PLAIN_EVERY_S = 5.0


@contextlib.contextmanager
def console_reporter(job: Job, *, quiet: bool) -> Iterator[Any]:
    """Show a run's stages and training while the block runs; on standard error, so that output can be piped."""
    if sys.stderr.isatty() and not quiet:
        with _bars() as bars:
            yield LiveReporter(job, bars)
    else:
        yield PlainReporter(job, quiet=quiet)


@contextlib.contextmanager
def progress_bar(title: str, *, quiet: bool) -> Iterator[Callable[[int, int], None] | None]:
    """Give a function (done, total) that shows how far something is."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    with _bars() as bars:
        task = bars.add_task(title, total=None, facts="")
        yield lambda done, total: bars.update(task, completed=done, total=total)


class LiveReporter:
    """A spinning line a stage, and a bar with the facts of training."""

    def __init__(self, job: Job, bars: Any) -> None:
        self.job, self.bars = job, bars
        self.facts: dict[str, Any] = {}
        self.task: Any = None

    def stage(self, title: str) -> None:
        if self.task is not None:
            self.bars.remove_task(self.task)
        self.task = self.bars.add_task(title, total=None, facts="")

    def advance(self, done: int, total: int) -> None:
        self.bars.update(self.task, completed=done, total=total)

    def training(self, progress: dict[str, Any]) -> None:
        self.facts.update(progress)
        done, total = share_done(self.job, self.facts)
        self.bars.update(self.task, description="training", completed=done, total=total, facts=training_facts(self.job, self.facts))

    def say(self, line: str) -> None:
        self.bars.console.print(line, style="yellow", markup=False, highlight=False)


class PlainReporter:
    """Lines for logs: every stage, and training every few seconds."""

    def __init__(self, job: Job, *, quiet: bool) -> None:
        self.job, self.quiet = job, quiet
        self.facts: dict[str, Any] = {}
        self.shown_at, self.shown = 0.0, ""

    def stage(self, title: str) -> None:
        self._print(title)

    def advance(self, done: int, total: int) -> None:
        pass

    def training(self, progress: dict[str, Any]) -> None:
        self.facts.update(progress)
        line = training_facts(self.job, self.facts)
        if line != self.shown and time.monotonic() - self.shown_at > PLAIN_EVERY_S:
            self.shown_at, self.shown = time.monotonic(), line
            self._print(line)

    def say(self, line: str) -> None:
        click.echo(line, err=True)

    def _print(self, line: str) -> None:
        if not self.quiet:
            click.echo(line, err=True)


def training_facts(job: Job, facts: dict[str, Any]) -> str:
    """Return images seen, images/s, losses, last score and time left, as far as they are known."""
    parts = [f"{facts.get('images_seen', 0):,}/{job.train.total_images:,} images"]
    if rate := facts.get("time/images_per_s"):
        parts += [f"{rate:,.0f}/s", f"loss D {facts['loss/discriminator']:.3f} G {facts['loss/generator']:.3f}"]
    if "metric/frechet" in facts:
        parts.append(f"frechet {facts['metric/frechet']:.2f}")
    if (left := seconds_left(job, facts)) is not None:
        parts.append(f"{int(left) // 60}:{int(left) % 60:02d} left")
    return "  ".join(parts)


def seconds_left(job: Job, facts: dict[str, Any]) -> float | None:
    """Return the seconds of training that are left, by the images or by the time limit, whichever ends first."""
    rate = facts.get("time/images_per_s")
    if not rate:
        return None
    by_images = (job.train.total_images - facts["images_seen"]) / rate
    by_time = job.train.max_seconds - facts["time/trained_s"] if job.train.max_seconds else by_images
    return max(min(by_images, by_time), 0.0)


def share_done(job: Job, facts: dict[str, Any]) -> tuple[float, float]:
    """Return (done, total) of the training, by whichever limit is nearer."""
    by_images = facts.get("images_seen", 0) / job.train.total_images
    by_time = facts.get("time/trained_s", 0.0) / job.train.max_seconds if job.train.max_seconds else 0.0
    return max(by_images, by_time), 1.0


def _bars() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TaskProgressColumn(),
        TextColumn("{task.fields[facts]}"),
    )
    return Progress(*columns, console=Console(stderr=True), transient=True)
