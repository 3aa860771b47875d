"""The libraries of the extra `sound`, imported when a sound is decoded, encoded or resampled."""

import importlib
from typing import Any

from ganray.errors import ConfigError


def soundfile() -> Any:
    """Return the module soundfile, which reads and writes sound files. Raises `ConfigError` where it is not installed."""
    return _module("soundfile")


def soxr() -> Any:
    """Return the module soxr, which resamples. Raises `ConfigError` where it is not installed."""
    return _module("soxr")


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise ConfigError("data.modality.kind", f"sound needs the package {name}", "pip install 'ganray[sound]'") from None
