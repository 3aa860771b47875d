"""Trackers that are named wrongly, refuse, or are told of a job with odd names: one line, without credentials, and nothing lost."""

from pathlib import Path
from typing import Any

import pytest

from ganray.config import MlflowTracker, check_job
from ganray.errors import ConfigError
from ganray.storage import open_store
from ganray.track.subject import hyperparameters, param_names
from ganray.track.sync import check_lasting, one_line
from ganray.track.tensorboard import files_but_newest


def mlflow(uri: str) -> list[dict[str, str]]:
    return [{"kind": "mlflow", "uri": uri}]


@pytest.mark.parametrize(
    ("track", "problem"),
    [
        ("mlfow", "mlfow"),
        (["mlflow", "mlflow"], "mlflow is named twice; name each tracker once"),
        (mlflow("http://user:pw@host:5000"), "contains credentials; remove them, and set MLFLOW_TRACKING_USERNAME"),
        (mlflow("postgresql://user:pw@host/db"), "contains credentials"),
        (mlflow("http://host:5000/?token=abc"), "contains credentials"),
        (mlflow("localhost:5000"), "'localhost:5000' has no scheme, and would be a folder; write http://host:5000"),
        (mlflow("mlflow.example.com:443/api"), "has no scheme"),
        (mlflow("http:/host:5000"), "has no scheme"),
        (mlflow("http//host:5000"), "has no scheme"),
        (mlflow("sqlite:/mlflow.db"), "has no scheme"),
        (mlflow(""), "is empty"),
        (mlflow("  "), "is empty"),
        ([{"kind": "mlflow", "uri": 5000}], "5000"),
        ([{"kind": "mlflow", "experiment": ""}], "''"),
        ([{"kind": "mlflow", "url": "http://host"}], "there is no such field; did you mean uri?"),
        ([{"kind": "wandb", "project": "team/project"}], "team/project"),
        ([{"kind": "wandb", "mode": "off"}], "'online' or 'offline'"),
        ([{"kind": "tensorboard", "folder": "x"}], "there is no such field"),
    ],
)
def test_a_tracker_that_is_named_wrongly_is_one_line(track: Any, problem: str) -> None:
    with pytest.raises(ConfigError) as refused:
        check_job({"track": track})
    line = str(refused.value)
    assert refused.value.field.startswith("track")
    assert problem in line
    assert not {"pw", "abc"} & set(line.replace("@", " ").replace("=", " ").replace(":", " ").split())
    assert "\n" not in line


@pytest.mark.parametrize(
    "uri", ["http://host:5000", "https://host/mlflow", "sqlite:////folder/mlflow.db", "file:///folder", "./mlruns", "/folder", "databricks"]
)
def test_what_mlflow_takes_is_taken(uri: str) -> None:
    assert isinstance(check_job({"track": mlflow(uri)}).track[0], MlflowTracker)


@pytest.mark.parametrize(
    ("uri", "variable", "problem"),
    [
        (None, None, "MLFLOW_TRACKING_URI is not set, so that MLflow takes a relative folder, and a Ray job's working directory vanishes"),
        ("./mlruns", None, "./mlruns is relative, and a Ray job's working directory vanishes"),
        (None, "mlruns", "mlruns is relative"),
        (None, "http://host:5000", None),
        ("/folder", None, None),
        ("databricks", None, None),
    ],
)
def test_inside_a_ray_job_nothing_is_written_to_a_folder_that_vanishes(
    uri: str | None, variable: str | None, problem: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    if variable:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", variable)
    check_lasting(MlflowTracker(uri=uri))
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    if problem is None:
        check_lasting(MlflowTracker(uri=uri))
        return
    with pytest.raises(ConfigError) as refused:
        check_lasting(MlflowTracker(uri=uri))
    assert problem in str(refused.value)


@pytest.mark.parametrize(
    ("message", "line"),
    [
        (
            "API request to http://user:pw@host:5000/api failed\nwith  exception",
            "API request to http://...@host:5000/api failed with exception",
        ),
        ("denied: https://host/?api_token=abc&x=1", "denied: https://host/?api_token=...&x=1"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("", "ValueError"),
        ("x" * 300, "x" * 200 + "..."),
    ],
)
def test_what_a_tracker_says_is_one_line_without_credentials(message: str, line: str) -> None:
    assert one_line(ValueError(message)) == line


def test_a_job_with_odd_names_of_columns_is_told_by_names_that_are_taken() -> None:
    columns = {
        "price (€)": "number",
        "price (£)": "number",
        "a/b": "category",
        "../x": "category",
        "x" * 300: "category",
        "plain": "number",
    }
    table = {"source": {"kind": "csv", "path": "x.csv"}, "modality": {"kind": "table", "columns": columns}}
    job = check_job({"data": table, "networks": "table"})
    named = param_names(hyperparameters(job.model_dump(mode="json", exclude_none=True)))
    told = [name.removeprefix("data.modality.columns.") for name in named if name.startswith("data.modality.columns.")]
    assert told == ["price ___", "a_b", ".._x", "x" * 228, "plain"]
    assert named["train.batch_size"] == 64


def test_event_files_of_other_programs_are_left_alone(tmp_path: Path) -> None:
    start = 1_700_000_000_000_000_000
    ours = [f"events.out.tfevents.1700000000.host.{start + number}.{start + number + 5}" for number in range(3)]
    others = ["events.out.tfevents.1700000000.host", "events.out.tfevents.1700000000.host.4711.0"]
    for name in (*ours, *others):
        (tmp_path / name).write_bytes(b"")
    assert files_but_newest(open_store(tmp_path)) == ours[:2]
