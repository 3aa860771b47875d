"""Arguments and options that several commands share."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click
from pydantic import TypeAdapter, ValidationError

from ganray.config import Job, load_job
from ganray.config.fields import Name
from ganray.errors import ConfigError

overrides_argument = click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
job_argument = click.argument("job", type=click.Path())
address_option = click.option("--address", help="Ray cluster to use; else RAY_ADDRESS, else a local Ray of ganray's own.")
storage_option = click.option("--storage", required=True, metavar="URI", help="A folder, or s3://bucket/prefix.")
why_option = click.option("--why", required=True, metavar="TEXT", help="The reason, for the history.")
public_key_option = click.option(
    "--public-key", type=click.Path(path_type=Path), help="Take only what this Ed25519 key's other half signed; a PEM file."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")


def with_job(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command a job file and overrides."""
    return job_argument(overrides_argument(command))


def read_job(job: str, overrides: tuple[str, ...]) -> Job:
    """Return the job that a command was given."""
    return load_job(job, overrides)


def check_name(field: str, name: str) -> str:
    """Return the name of a run or model; raise `GanrayError` for `field` if nothing can be called so."""
    try:
        return TypeAdapter(Name).validate_python(name)
    except ValidationError:
        raise ConfigError(field, f"{name!r} is no name", "write it in lower-case letters, digits, dots, hyphens and underscores") from None


def print_json(data: Any) -> None:
    """Print plain data as JSON."""
    click.echo(json.dumps(data, indent=1))


def print_rows(rows: Mapping[str, Any], *, as_json: bool) -> None:
    """Print what is known by name, as lines for a person, groups below their names, or as JSON."""
    if as_json:
        return print_json(rows)
    for name, value in rows.items():
        if isinstance(value, Mapping):
            click.echo(name)
            width = max(map(len, value), default=0) + 2
            for part, said in value.items():
                click.echo(f"  {part:<{width}}{said}")
        else:
            click.echo(f"{name:<14}{value}")
    return None
