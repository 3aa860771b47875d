"""`ganray config`, `ganray train` and `ganray runs`."""

import sys
from typing import TYPE_CHECKING

import click
import yaml

from ganray.cli.display import console_reporter
from ganray.cli.listing import age, comparison_rows, event_row, print_json, print_rows, print_table
from ganray.cli.options import address_option, check_name, json_option, storage_option, with_job
from ganray.config import load_job
from ganray.train.view import TrainingView

if TYPE_CHECKING:
    from ganray.runs.overview import RunOverview
    from ganray.runs.status import TrainingResult

EXIT_INTERRUPTED = 130


@click.command("config")
@with_job
@json_option
@click.option("--fields", is_flag=True, help="Describe every field instead: type, default, meaning.")
def config_command(job: str, overrides: tuple[str, ...], as_json: bool, fields: bool) -> None:
    """Print JOB with its overrides and every default; what stays `auto` is decided when the run is created."""
    from ganray.config.describe import describe_fields

    data = load_job(job, overrides).model_dump(mode="json")
    if fields:
        rows = describe_fields()
        print_json(rows) if as_json else click.echo(
            "\n".join(f"{row['field']}  ({row['type']}, default {row['default']})\n    {row['meaning']}" for row in rows)
        )
    elif as_json:
        print_json(data)
    else:
        click.echo(yaml.safe_dump(data, sort_keys=False), nl=False)


@click.command("train")
@with_job
@click.option("--dry-run", is_flag=True, help="Look at the data, print what would run, and start nothing.")
@address_option
@json_option
def train_command(job: str, overrides: tuple[str, ...], dry_run: bool, address: str | None, as_json: bool) -> None:
    """Train JOB and publish the best generator. The same command again resumes."""
    checked = load_job(job, overrides)
    if dry_run:
        from ganray.train.dry_run import plan
        from ganray.train.examine import examine

        print_rows({**plan(checked, address=address), **examine(checked)}, as_json=as_json)
        return
    from ganray.runs.status import EndReason
    from ganray.train.train import run_training

    with console_reporter(TrainingView(checked), quiet=as_json) as reporter:
        result = run_training(checked, address=address, reporter=reporter)
    print_json(result.to_json()) if as_json else click.echo(_summary(result))
    if result.ended == EndReason.INTERRUPTED:
        sys.exit(EXIT_INTERRUPTED)


@click.group("runs")
def runs_group() -> None:
    """The runs of a storage, and how they stand."""


@runs_group.command("list")
@storage_option
@json_option
def list_command(storage: str, as_json: bool) -> None:
    """List the runs of a storage: status, images seen, best score, age of the latest checkpoint, and who drives it."""
    from ganray.runs.overview import list_runs
    from ganray.storage import open_store

    runs = list_runs(open_store(storage))
    if as_json:
        print_json([run.to_json() for run in runs])
        return
    if runs:
        print_table(("run", "status", "images", "best", "last", "images/s", "updated", "driven by"), [_row(run) for run in runs])
    else:
        click.echo(f"no runs in {storage}")


@runs_group.command("show")
@click.argument("name")
@storage_option
@json_option
@click.option("--events", "num_events", type=click.IntRange(min=0), default=20, show_default=True, help="Newest events to show.")
def show_command(name: str, storage: str, as_json: bool, num_events: int) -> None:
    """Show run NAME: status, progress, scores, checkpoints, driver, what it was created with, and what happened to it."""
    check_name("NAME", name)
    from ganray.runs.overview import describe_run
    from ganray.storage import open_store

    facts = describe_run(open_store(storage), name)
    if as_json:
        print_json(facts)
        return
    events = facts.pop("events")
    print_rows(facts, as_json=False)
    if shown := events[max(len(events) - num_events, 0) :]:
        click.echo()
        print_table(("time", "event", "images", "what"), [event_row(event) for event in shown])


@runs_group.command("compare")
@click.argument("names", nargs=-1, required=True, metavar="NAME NAME...")
@storage_option
@json_option
def compare_command(names: tuple[str, ...], storage: str, as_json: bool) -> None:
    """Compare runs: how they stand, their scores, also after the same number of images, rates, and fields in which their jobs differ."""
    for name in names:
        check_name("NAME", name)
    from ganray.runs.compare import compare_runs
    from ganray.storage import open_store

    runs = compare_runs(open_store(storage), names)
    print_json(runs) if as_json else print_table(("", *names), comparison_rows(runs))


@runs_group.command("watch")
@click.argument("name")
@storage_option
@json_option
def watch_command(name: str, storage: str, as_json: bool) -> None:
    """Follow run NAME by its record, whichever machine trains it, until its driver ends; --json prints each record as a line."""
    check_name("NAME", name)
    from ganray.cli.watch import watch
    from ganray.storage import open_store

    watch(open_store(storage), name, as_json=as_json)


def _row(run: "RunOverview") -> tuple[str, ...]:
    """Return a run as a row of a listing."""
    best = f"{run.metric.removeprefix('metric/')} {run.score:.4g}" if run.metric and run.score is not None else "not scored"
    last = "-" if run.last_score is None else f"{run.last_score:.4g}"
    rate = "-" if run.images_per_s is None else f"{run.images_per_s:,.0f}"
    images = f"{run.images_seen:,}/{run.total_images:,}"
    return run.name, run.status, images, best, last, rate, age(run.updated), run.driver or ""


def _summary(result: "TrainingResult") -> str:
    """Return what a person wants to know when a run has ended."""
    scores = ", ".join(f"{name.removeprefix('metric/')} {value:.4g}" for name, value in (result.scores or {}).items())
    if result.ended == "interrupted":
        return f"stopped after {result.images_seen:,} images; the same command goes on from there"
    lines = [f"run {result.name} {'was finished already' if result.was_finished else 'is finished'}: {result.images_seen:,} images"]
    if scores:
        lines.append(f"best at {result.best_images_seen:,} images: {scores}")
    lines += [f"metrics    {result.run}/metrics.jsonl", f"samples    {result.run}/samples/"]
    if result.version:
        lines.append(f"published  {result.version}")
    return "\n".join(lines)
