"""Reading a job file, with overrides, into a checked `Job`."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from ganray.config.fields import Section, kind_of, sections_in
from ganray.config.job import Job
from ganray.errors import ConfigError


def load_job(path: str | Path, overrides: Iterable[str] = ()) -> Job:
    """Return the job in the YAML file `path`, changed by `overrides` like `optimizer.generator.lr=1e-4`.

    Raises `GanrayError` for a file that is missing or no job, and for a field that is unknown or has a wrong value.
    """
    return check_job(apply_overrides(_read_yaml(Path(path)), parse_overrides(overrides)))


def parse_overrides(overrides: Iterable[str]) -> dict[str, Any]:
    """Return {dotted path: value}; values are read as YAML, so `[32, 64]`, `null` and `true` mean what they say."""
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

    A new `kind` discards the fields of the kind that stood there, since they belong to it.
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
            node.clear()
        node[key] = value
    return changed


def check_job(data: Mapping[str, Any]) -> Job:
    """Return plain data as a `Job`, or raise a `GanrayError` for the first field that is wrong."""
    try:
        return Job.model_validate(data)
    except ValidationError as error:
        raise _translate(error, data) from None


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(str(path), "there is no such job file", "see jobs/ for some that work as they are") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), f"cannot be read ({error})", "name a readable YAML file") from None
    except yaml.YAMLError as error:
        raise ConfigError(str(path), f"is not valid YAML ({error})", "mend the line that is named") from None
    if data is not None and not isinstance(data, dict):
        raise ConfigError(str(path), "is not a job file", "write `key: value` lines, as the files in jobs/ do")
    return data or {}


def _copy(value: Any) -> Any:
    return {key: _copy(item) for key, item in value.items()} if isinstance(value, Mapping) else value


def _translate(error: ValidationError, data: Mapping[str, Any]) -> ConfigError:
    """Turn pydantic's first complaint into field, problem and remedy."""
    first = error.errors()[0]
    field = _typed_path(first["loc"], data)
    if first["type"] == "extra_forbidden":
        return ConfigError(field, "there is no such field", _known_fields(first["loc"]))
    if first["type"] == "value_error" and not first["loc"]:
        name, _, rest = str(first["ctx"]["error"]).partition(": ")
        problem, _, remedy = rest.partition("; ")
        return ConfigError(name, problem, remedy)
    if first["type"] == "value_error":
        problem, _, remedy = str(first["ctx"]["error"]).partition("; ")
        return ConfigError(field, problem, remedy)
    if first["type"] == "missing":
        return ConfigError(field, "is missing", f"add it, as in {field}=...")
    return ConfigError(field, f"{first['input']!r} will not do", first["msg"][0].lower() + first["msg"][1:])


def _typed_path(location: tuple[int | str, ...], data: Any) -> str:
    """Return the dotted path as the user typed it: pydantic's location without the tags of unions."""
    typed = []
    for depth, part in enumerate(location):
        if isinstance(data, Mapping) and part in data:
            data = data[part]
        elif depth < len(location) - 1 or not isinstance(data, Mapping):
            continue
        typed.append(str(part))
    return ".".join(typed)


def _known_fields(location: tuple[int | str, ...]) -> str:
    """Say which kinds take a field that this one does not know, which field a typo meant, or which fields there are."""
    section, siblings = _sections(location[:-1])
    kinds = [kind_of(other) for other in siblings if location[-1] in other.model_fields]
    if kinds:
        return f"kind {' and '.join(kinds)} takes it, kind {kind_of(section)} does not"
    names = list(section.model_fields)
    close = get_close_matches(str(location[-1]), names, n=1)
    return f"did you mean {close[0]}?" if close else f"there are {', '.join(names)}"


def _sections(location: tuple[int | str, ...]) -> tuple[type[Section], list[type[Section]]]:
    """Return the section at a location, following the tags that pydantic adds for unions, and those that could stand there."""
    section, siblings = Job, [Job]
    for part in location:
        tagged = [kind for kind in siblings if part == kind_of(kind)]
        if tagged:
            section = tagged[0]
        elif part in section.model_fields:
            siblings = sections_in(section.model_fields[part].annotation)
            section = siblings[0]
    return section, siblings
