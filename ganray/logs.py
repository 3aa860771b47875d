"""Structured logs: a JSON object a line, with time, level, run, attempt and rank.

A driver writes them where `GANRAY_LOG_FORMAT=json` asks for them, and worker processes always: theirs go to files of Ray's.
"""

import json
import logging
import os
import sys
from typing import Any

from ganray.errors import ConfigError

FORMAT = "GANRAY_LOG_FORMAT"
TEXT, JSON = "text", "json"


class JsonFormatter(logging.Formatter):
    """Formats a record as JSON. `context` is part of every line; what a record has as `data` is, too."""

    def __init__(self) -> None:
        super().__init__()
        self.context: dict[str, Any] = {}

    def format(self, record: logging.LogRecord) -> str:
        """Return a record's line."""
        line = {"time": round(record.created, 3), "level": record.levelname.lower(), "logger": record.name, **self.context}
        line |= {"message": record.getMessage(), **getattr(record, "data", {})}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def wants_json() -> bool:
    """Return whether the environment asks for JSON. Raises `ConfigError` for a format that does not exist."""
    chosen = os.environ.get(FORMAT, TEXT)
    if chosen not in (TEXT, JSON):
        raise ConfigError(FORMAT, f"expected {TEXT} or {JSON}, got {chosen!r}", f"use {JSON}, or unset it")
    return chosen == JSON


def log_as_json(handler: logging.Handler | None = None) -> None:
    """Have ganray's loggers write JSON lines, by a handler, else to standard error, and nothing else. Once a process."""
    package = logging.getLogger("ganray")
    if any(isinstance(each.formatter, JsonFormatter) for each in package.handlers):
        return
    handler = handler or logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    package.addHandler(handler)
    package.setLevel(logging.INFO)
    package.propagate = False


def set_log_context(**values: Any) -> None:
    """Have every JSON line from now on contain some values; without effect where text is written."""
    for handler in logging.getLogger("ganray").handlers:
        if isinstance(handler.formatter, JsonFormatter):
            handler.formatter.context |= values
