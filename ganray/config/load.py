"""Reading a job file, with overrides, into a checked `Job`."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from ganray.config.job import Job
from ganray.config.problems import explain
from ganray.errors import ConfigError

OF_ANY_KIND = {"mirror"}  # fields that all kinds of a section have in common


def load_job(path: str | Path, overrides: Iterable[str] = ()) -> Job:
    """Return the job in the YAML file `path`, changed by `overrides` like `optimizer.generator.lr=1e-4`.

    Raises `ConfigError` for a file that is missing or no job, and for a field that is unknown, was renamed or has a wrong value.
    """
    return check_job(apply_overrides(_read_yaml(Path(path)), parse_overrides(overrides)))


def parse_overrides(overrides: Iterable[str]) -> dict[str, Any]:
    """Return {dotted path: value}; values are read as YAML: `[32, 64]` is a list, `null` None. Raises `ConfigError`."""
    parsed = {}
    for override in overrides:
        path, equals, text = override.partition("=")
        if not equals or not path:
            raise ConfigError(override, "is not an override", "write it as key=value, like train.batch_size=128")
        try:
            parsed[path] = yaml.safe_load(text)
        except yaml.YAMLError:
            raise ConfigError(path, f"{text!r} cannot be read as YAML", "quote the value") from None
    return parsed


def apply_overrides(job: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return plain data like `job` in which each dotted path of `values` has its value; missing sections are made.

    A new `kind` discards the fields of the kind that stood there, since they belong to it, but for those of any kind. Raises
    `ConfigError` for a path that goes on below a value.
    """
    changed = _copy(job)
    for path, value in values.items():
        *sections, key = path.split(".")
        node = changed
        for depth, section in enumerate(sections):
            node = node.setdefault(section, {})
            if not isinstance(node, dict):
                raise ConfigError(path, f"{'.'.join(sections[: depth + 1])} is not a section", "see `ganray config JOB` for the fields")
        if key == "kind" and node.get("kind", value) != value:
            for name in node.keys() - OF_ANY_KIND:
                del node[name]
        node[key] = value
    return changed


def check_job(data: Mapping[str, Any]) -> Job:
    """Return plain data as a `Job`, or raise a `ConfigError` for the first field that is wrong."""
    try:
        return Job.model_validate(data)
    except ValidationError as error:
        raise explain(error, data) from None


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(str(path), "there is no such job file", "see jobs/ for some that work as they are") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), f"cannot be read ({error})", "name a readable YAML file") from None
    except yaml.YAMLError as error:
        raise ConfigError(str(path), f"is not valid YAML ({error})", "correct the line that is named") from None
    if data is not None and not isinstance(data, dict):
        raise ConfigError(str(path), "is not a job file", "write `key: value` lines, as the files in jobs/ do")
    return data or {}


def _copy(section: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of nested sections in which overrides may be set."""
    return {key: _copy(value) if isinstance(value, Mapping) else value for key, value in section.items()}
