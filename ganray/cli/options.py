"""Arguments and options that several commands share."""

import json
from collections.abc import Callable
from typing import Any

import click

from ganray.config import Job, load_job

overrides_argument = click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
job_argument = click.argument("job", type=click.Path())
address_option = click.option("--address", help="Ray cluster to use; else RAY_ADDRESS, else a local Ray of ganray's own.")
storage_option = click.option("--storage", required=True, metavar="URI", help="A folder, or s3://bucket/prefix.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")


def with_job(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command a job file and overrides."""
    return job_argument(overrides_argument(command))


def read_job(job: str, overrides: tuple[str, ...]) -> Job:
    """Return the job that a command was given."""
    return load_job(job, overrides)


def print_json(data: Any) -> None:
    """Print plain data as JSON."""
    click.echo(json.dumps(data, indent=1))
