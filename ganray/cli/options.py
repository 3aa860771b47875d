"""Arguments and options that several commands share, and their types."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from pydantic import TypeAdapter, ValidationError

from ganray.config.fields import NAME_CHARACTERS, Name
from ganray.config.reading.places import path_problem
from ganray.errors import ConfigError
from ganray.storage import open_store
from ganray.storage.local import LocalStore


class LocalPath(click.Path):
    """A path that the file system can have, as a `Path`."""

    def __init__(self, **checks: bool) -> None:
        super().__init__(path_type=Path, **checks)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path. An over-long one is a usage error."""
        if problem := path_problem(str(value)):
            self.fail("; ".join(problem), param, ctx)
        return super().convert(value, param, ctx)


class FiniteRange(click.FloatRange):
    """A range of real numbers, to which nan and infinity never belong."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number."""
        if not math.isfinite(number := super().convert(value, param, ctx)):
            self.fail(f"{number} is not a finite number", param, ctx)
        return number


def _existing(context: click.Context, option: click.Parameter, uri: str) -> str:
    """Return a storage's URI. Raises `ConfigError` for a local folder that does not exist; a missing bucket is an error when read."""
    store = open_store(uri)
    if isinstance(store, LocalStore) and not Path(store.root).is_dir():
        raise ConfigError("--storage", f"there is no folder {store.root}", "name what the job's `storage` says")
    return uri


FORMAT = click.Choice(["onnx", "torch-export"])  # of an exported generator
overrides_argument = click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
job_argument = click.argument("job", type=click.Path())
address_option = click.option("--address", help="Ray cluster to use; else RAY_ADDRESS, else a local Ray of ganray's own.")
new_storage_option = click.option("--storage", required=True, metavar="URI", help="A folder, or s3://bucket/prefix.")
storage_option = click.option("--storage", required=True, metavar="URI", callback=_existing, help="A folder, or s3://bucket/prefix.")
why_option = click.option("--why", required=True, metavar="TEXT", help="The reason, for the history.")
public_key_option = click.option(
    "--public-key", type=LocalPath(), help="Require a signature by the private half of this Ed25519 key, a PEM file."
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
