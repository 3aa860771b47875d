"""Renamed fields: old dotted paths and new ones, for errors about job files and for reading what earlier versions have stored."""

import copy
from collections.abc import Mapping
from typing import Any

# Fields of a renamed section follow it; those that got another name too come before their section.
RENAMED = {
    "networks.norm_group": "networks.ghost_batch",
    "train.average_half_life": "train.ema_half_life",
    "publish.when_done": "publish.auto",
    "guard.max_returns": "divergence.max_rollbacks",
    "guard": "divergence",
    "data.source.image_column": "data.source.column",
}


def new_path(path: str) -> str | None:
    """Return what the field or section at a dotted path is called now, None for one that was not renamed."""
    for old, new in RENAMED.items():
        if path == old or path.startswith(f"{old}."):
            return new + path.removeprefix(old)
    return None


def modernise(job: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stored job, or some of its sections, as plain data with today's names of fields; the argument stays as it is."""
    modern = copy.deepcopy(dict(job))
    for old, new in RENAMED.items():
        if (value := _pop(modern, old.split("."))) is not None:
            _insert(modern, new.split("."), value)
    if isinstance(sweep := modern.get("sweep"), dict):
        sweep["space"] = modernise_params(sweep.get("space", {}))
        sweep["start_from"] = [modernise_params(params) for params in sweep.get("start_from", [])]
    return modern


def modernise_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return a trial's {dotted path: value}, or a space's {dotted path: range}, with today's paths."""
    return {new_path(path) or path: value for path, value in params.items()}


def _pop(section: dict[str, Any], path: list[str]) -> Any:
    """Take a field out of nested sections and return its value, None if it is not there. No renamed field may be null."""
    *parents, name = path
    for parent in parents:
        section = section.get(parent, {})
        if not isinstance(section, dict):
            return None
    return section.pop(name, None)


def _insert(section: dict[str, Any], path: list[str], value: Any) -> None:
    """Put a field into nested sections, which are made where they are missing; a section is merged into the one that is there."""
    *parents, name = path
    for parent in parents:
        section = section.setdefault(parent, {})
    there = section.get(name)
    section[name] = {**value, **there} if isinstance(value, dict) and isinstance(there, dict) else value
