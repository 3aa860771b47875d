"""Progress on the terminal: a live view where there is a terminal, a plain line now and then where there is none.

All of it goes to standard error, so that output can be piped; lines that ganray logs go there too, above the live view.
"""

import contextlib
import logging
import os
import sys
from collections.abc import Callable, Iterator

import click

from ganray.errors import GanrayError, printable
from ganray.logs import FORMAT, JSON, log_as_json, wants_json
from ganray.train.view import ConsoleReporter, View, progress_columns


def set_up_logs() -> None:
    """Have what is logged printed to standard error: warnings as text, or everything as JSON where the environment asks for that."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[StderrHandler()])
    if wants_json():
        log_as_json(StderrHandler())


def print_error(error: GanrayError) -> None:
    """Print an error that ends a command as one line."""
    if os.environ.get(FORMAT) == JSON:
        data = {"field": error.field, "problem": error.problem, "remedy": error.remedy}
        logging.getLogger(__name__).error("%s", error, extra={"data": data})
    else:
        click.echo(f"error: {error}", err=True)


class StderrHandler(logging.Handler):
    """Prints what is logged to `sys.stderr` as it is at the time: a live view replaces it while it is drawn."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record."""
        click.echo("\n".join(printable(line) for line in self.format(record).split("\n")), err=True)


@contextlib.contextmanager
def console_reporter(view: View, *, quiet: bool) -> Iterator[ConsoleReporter]:
    """Give a reporter that shows progress while the block runs, and nothing but warnings if `quiet`."""
    if wants_json():
        yield ConsoleReporter(view, None, quiet=quiet, print_line=logging.getLogger(__name__).info)
        return
    if quiet or not sys.stderr.isatty():
        yield ConsoleReporter(view, None, quiet=quiet)
        return
    from rich.console import Console
    from rich.live import Live

    with Live(console=Console(stderr=True), refresh_per_second=4, transient=True) as live:
        yield ConsoleReporter(view, live, quiet=False)


@contextlib.contextmanager
def progress_bar(title: str, *, quiet: bool) -> Iterator[Callable[[int, int], None] | None]:
    """Give a function (done, total) that shows how far something is, None if nobody looks."""
    if quiet or not sys.stderr.isatty() or wants_json():
        yield None
        return
    with progress_columns() as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
