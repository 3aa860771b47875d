"""Reading a job file, with overrides, into a checked `Job`."""

import os
import re
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ganray.config.fields import FieldError, is_text, is_utf8, kind_of, sections_in, shortened
from ganray.config.job import Job
from ganray.config.problems import explain
from ganray.config.reading.places import JOBS
from ganray.config.reading.yaml_reader import MAX_BYTES, NULLS, Scalar, parse, plain, type_below
from ganray.errors import ConfigError

MAX_SHOWN_PATH = 400  # characters
QUOTED = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"\\]|\\.)*\"", re.DOTALL)
OF_ANY_KIND = {"mirror"}  # fields that all kinds of a section have in common


def load_job(path: str | Path, overrides: Mapping[str, Any] | Iterable[str] = ()) -> Job:
    """Return the job in the YAML file `path`, changed by `overrides`: texts like `train.batch_size=64`, or values by dotted path.

    `load_job(path, {"train.batch_size": 64, "loss": "hinge"})` takes the values as they are. Raises `ConfigError` for a file that is
    missing or no job, and for a field that is unknown, was renamed or has a wrong value.
    """
    values = overrides if isinstance(overrides, Mapping) else parse_overrides(overrides)
    if wrong := [key for key in values if not (isinstance(key, str) and is_utf8(key))]:
        raise ConfigError(shortened(wrong[0]), "is not the dotted path of a field", "write it like train.batch_size")
    return check_job(apply_overrides(_read_file(Path(path)), values))


def parse_overrides(overrides: Iterable[str]) -> dict[str, Any]:
    """Return {dotted path: value}. Raises `ConfigError`.

    The value of a field that is text is what follows `=` as it was typed, unless quotes enclose it or it is null; others are read
    as YAML: `[32, 64]` is a list, `null` None.
    """
    parsed = {}
    for override in [overrides] if isinstance(overrides, str) else overrides:
        path, equals, text = override.partition("=")
        if not equals or not path:
            raise ConfigError(override or "''", "is not an override", "write it as key=value, like train.batch_size=128")
        parsed[path] = _value(path, text)
    return parsed


def apply_overrides(job: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return plain data like `job` in which each dotted path of `values` has its value; missing sections are made.

    A new `kind` discards the fields of the kind that stood there, since they belong to it, but for those of any kind. Raises
    `ConfigError` for a path that goes on below a value.
    """
    changed: dict[str, Any] = _copy(job)
    for path, value in values.items():
        *sections, key = path.split(".")
        node: dict[str, Any] = changed
        annotation: Any = Job
        for depth, section in enumerate(sections):
            annotation = type_below(annotation, section)
            below = _opened(node.get(section, {}), annotation)
            if not isinstance(below, dict):
                raise ConfigError(path, f"{'.'.join(sections[: depth + 1])} is not a section", "see `ganray config JOB` for the fields")
            node[section] = below
            node = below
        if key == "kind" and node.get("kind", value) != value:
            for name in node.keys() - OF_ANY_KIND:
                del node[name]
        node[key] = _copy(value)
    return changed


def check_job(data: Mapping[str, Any]) -> Job:
    """Return plain data as a `Job`, or raise a `ConfigError` for the first field that is wrong."""
    try:
        return Job.model_validate(data)
    except ValidationError as error:
        raise explain(error, data, Job) from None


def _value(path: str, text: str) -> Any:
    """Return the value that an override's text has for its field."""
    annotation: Any = Job
    for part in path.split("."):
        annotation = type_below(annotation, part)
    try:
        if not is_text(annotation):
            return plain(parse(text), annotation)
        return None if text in NULLS else plain(parse(text), annotation) if QUOTED.fullmatch(text) else text
    except FieldError as error:
        raise ConfigError(path, error.problem, error.remedy) from None


def _read_file(path: Path) -> dict[str, Any]:
    """Return the plain data of a job file. Raises `ConfigError`."""
    try:
        data = _parsed(_read_text(path))
    except FileNotFoundError:
        raise ConfigError(_name(path), "there is no such job file", f"see {JOBS} for some that work as they are") from None
    except OSError as error:
        raise ConfigError(_name(path), f"cannot be read ({error.strerror})", "name a readable YAML file") from None
    except FieldError as error:
        raise ConfigError(_name(path), error.problem, error.remedy) from None
    return data


def _name(path: Path) -> str:
    """Return a path as an error names it: an over-long one is cut."""
    return text if len(text := str(path)) <= MAX_SHOWN_PATH else f"{text[:MAX_SHOWN_PATH]}..."


def _read_text(path: Path) -> str:
    """Return the text of a regular file of bounded size, without waiting for a pipe. Raises `OSError` and `FieldError`."""
    if "\0" in str(path):
        raise FieldError("has a NUL character in its name", "name a YAML file")
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise FieldError("is not a regular file", "name a YAML file")
        return os.read(descriptor, MAX_BYTES + 1).decode()
    except UnicodeDecodeError as error:
        raise FieldError(f"cannot be read ({error.reason} at byte {error.start})", "save it as UTF-8") from None
    finally:
        os.close(descriptor)


def _parsed(text: str) -> dict[str, Any]:
    """Return the sections of a job file's text. Raises `FieldError`."""
    node = parse(text)
    if isinstance(node, Scalar) and node.is_null:
        return {}
    if not isinstance(node, dict):
        raise FieldError("is not a job file", f"write `key: value` lines, as the files in {JOBS} do")
    return {key: plain(value, type_below(Job, key)) for key, value in node.items()}


def _opened(value: Any, annotation: Any) -> Any:
    """Return what stands where an override goes on below: null is an empty section, and a bare kind the section of that kind."""
    sections = sections_in(annotation)
    if value is None and sections:
        return {}
    return {"kind": value} if isinstance(value, str) and any(map(kind_of, sections)) else value


def _copy(value: Any) -> Any:
    """Return nested sections as a copy in which overrides may be set."""
    return {key: _copy(below) for key, below in value.items()} if isinstance(value, Mapping) else value
