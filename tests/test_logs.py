"""Structured logs: JSON lines with run, attempt and rank, from commands that are asked for them and from workers."""

import io
import json
import logging

import pytest

from ganray.errors import ConfigError
from ganray.logs import FORMAT, log_as_json, set_log_context, wants_json
from tests.helpers.runs import ganray


def test_a_line_has_run_attempt_rank_and_data() -> None:
    stream = io.StringIO()
    log_as_json(logging.StreamHandler(stream))
    log_as_json(logging.StreamHandler(io.StringIO()))  # once a process
    set_log_context(run="r", attempt=0, rank=1)
    logger = logging.getLogger("ganray.train")
    logger.info("train at %d images", 640, extra={"data": {"loss/generator": 1.5}})
    set_log_context(attempt=1)
    try:
        raise ValueError("a defect")
    except ValueError:
        logger.exception("failed")
    first, second = map(json.loads, stream.getvalue().splitlines())
    time = first.pop("time")
    assert time > 1e9
    own = {"run": "r", "attempt": 0, "rank": 1, "message": "train at 640 images", "loss/generator": 1.5}
    assert first == {"level": "info", "logger": "ganray.train", **own}
    assert (second["level"], second["attempt"]) == ("error", 1)
    assert "ValueError: a defect" in second["traceback"]


def test_a_format_that_does_not_exist_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not wants_json()
    monkeypatch.setenv(FORMAT, "xml")
    with pytest.raises(ConfigError, match="GANRAY_LOG_FORMAT: expected text or json, got 'xml'"):
        wants_json()


def test_a_command_s_error_is_a_json_line_where_that_is_asked_for() -> None:
    done = ganray("config", "nowhere.yaml", **{FORMAT: "json"})
    (line,) = map(json.loads, done.stderr.splitlines())
    assert done.returncode == 2
    assert line["level"] == "error"
    assert line.keys() >= {"field", "problem", "remedy", "message"}
    wrong = ganray("config", "nowhere.yaml", **{FORMAT: "xml"})
    assert wrong.stderr.startswith("error: GANRAY_LOG_FORMAT: expected text or json, got 'xml'")
