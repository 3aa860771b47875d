"""The library of the extra `video`, imported when a stream is decoded or encoded."""

import importlib
from typing import Any

from ganray.errors import ConfigError


def pyav(field: str) -> Any:
    """Return the module av, ffmpeg's. Raises `ConfigError` of a field where it is not installed."""
    try:
        return importlib.import_module("av")
    except ImportError:
        raise ConfigError(field, "this video needs the package av", "pip install 'ganray[video]'") from None
