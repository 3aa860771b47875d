"""`ganray config` and `ganray train`."""

import sys
from dataclasses import asdict

import click
import yaml

from ganray.cli.display import console_reporter
from ganray.cli.options import address_option, json_option, print_json, print_rows, read_job, with_job


@click.command("config")
@with_job
@json_option
@click.option("--fields", is_flag=True, help="Describe every field instead: type, default, meaning.")
def config_command(job: str, overrides: tuple[str, ...], as_json: bool, fields: bool) -> None:
    """Print JOB with its overrides and every default; what stays `auto` is decided when the run is created."""
    from ganray.config.describe import describe_fields

    data = read_job(job, overrides).model_dump(mode="json")
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
@click.option("--dry-run", is_flag=True, help="Say what would run, and start nothing.")
@address_option
@json_option
def train_command(job: str, overrides: tuple[str, ...], dry_run: bool, address: str | None, as_json: bool) -> None:
    """Train JOB and publish the best generator. The same command again resumes."""
    checked = read_job(job, overrides)
    if dry_run:
        from ganray.train.dry_run import plan

        print_rows(plan(checked, address=address), as_json=as_json)
        return
    from ganray.train.train import run_training

    with console_reporter(checked, quiet=as_json) as reporter:
        result = run_training(checked, address=address, reporter=reporter)
    if as_json:
        print_json(asdict(result))
    else:
        click.echo(_summary(result, job))
    if result.ended == "asked":
        sys.exit(130)


def _summary(result: "object", job: str) -> str:
    """Return what a person wants to know when a run has ended."""
    scores = ", ".join(f"{name.removeprefix('metric/')} {value:.4g}" for name, value in (result.scores or {}).items())
    if result.ended == "asked":
        return f"stopped after {result.images_seen:,} images; the same command goes on from there"
    lines = [f"run {result.name} {'was finished already' if result.was_finished else 'is finished'}: {result.images_seen:,} images"]
    if scores:
        lines.append(f"best at {result.best_images_seen:,} images: {scores}")
    lines += [f"metrics    {result.run}/metrics.jsonl", f"pictures   {result.run}/samples/"]
    if result.version:
        lines.append(f"published  {result.version}")
    return "\n".join(lines)
