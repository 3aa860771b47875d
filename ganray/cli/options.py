"""Arguments and options that several commands share."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click
from pydantic import TypeAdapter, ValidationError

from ganray.config.fields import NAME_CHARACTERS, Name
from ganray.errors import ConfigError

overrides_argument = click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
job_argument = click.argument("job", type=click.Path())
address_option = click.option("--address", help="Ray cluster to use; else RAY_ADDRESS, else a local Ray of ganray's own.")
storage_option = click.option("--storage", required=True, metavar="URI", help="A folder, or s3://bucket/prefix.")
why_option = click.option("--why", required=True, metavar="TEXT", help="The reason, for the history.")
public_key_option = click.option(
    "--public-key", type=click.Path(path_type=Path), help="Require a signature by the private half of this Ed25519 key, a PEM file."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")


_NAME: TypeAdapter[str] = TypeAdapter(Name)


def with_job(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command a job file and overrides."""
    return job_argument(overrides_argument(command))


def check_name(field: str, name: str) -> str:
    """Return the name of a run, sweep or model. Raises `ConfigError` for `field` for an invalid one."""
    try:
        return _NAME.validate_python(name)
    except ValidationError:
        raise ConfigError(field, f"invalid name {name!r}", f"use {NAME_CHARACTERS}") from None


def print_json(data: Any) -> None:
    """Print plain data as JSON."""
    click.echo(json.dumps(data, indent=1))


def print_rows(rows: Mapping[str, Any], *, as_json: bool) -> None:
    """Print values by name as lines, nested ones below their group's name, or as JSON."""
    if as_json:
        print_json(rows)
        return
    for name, value in rows.items():
        if isinstance(value, Mapping):
            click.echo(name)
            width = max(map(len, value), default=0) + 2
            for part, text in value.items():
                click.echo(f"  {part:<{width}}{text}")
        else:
            click.echo(f"{name:<14}{value}")
