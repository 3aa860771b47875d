"""Runs in Weights & Biases, by its offline files as its own reader sees them."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ganray.config import WandbTracker
from ganray.runs.metrics_log import part_name
from ganray.track.stored import tracking_id
from ganray.track.sync import Sync, send_all
from tests.helpers.drawn import EVERY, TOTAL, train_lines, write_run, write_trials

wandb = pytest.importorskip("wandb", reason="needs the extra wandb")

TRACKER = WandbTracker(project="faces", mode="offline")
STEPS = list(range(EVERY, TOTAL + 1, EVERY))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where W&B writes."""
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    return tmp_path / "wandb"


def records(folder: Path) -> Iterator[Any]:
    """Yield the records of all offline files, oldest first."""
    from wandb.proto.wandb_internal_pb2 import Record

    for path in sorted(folder.glob("offline-run-*/run-*.wandb")):
        for data in log_records(path.read_bytes()):
            record = Record()
            record.ParseFromString(data)
            yield record


def log_records(data: bytes) -> Iterator[bytes]:
    """Yield the records of a file in LevelDB's log format, which W&B's have after seven bytes of their own."""
    place, parts = 7, b""
    while place + 7 <= len(data):
        left = 32768 - place % 32768
        if left < 7:
            place += left
            continue
        _, length, kind = struct.unpack_from("<IHB", data, place)
        parts += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield parts
            parts = b""


def rows(folder: Path) -> list[dict[str, Any]]:
    """Return the rows of all offline files, in order."""
    return [
        {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
        for record in records(folder)
        if record.WhichOneof("record_type") == "history"
    ]


def runs(folder: Path) -> list[Any]:
    """Return the heads of all offline files."""
    return [record.run for record in records(folder) if record.WhichOneof("record_type") == "run"]


def test_rows_grids_config_and_version_are_there(tmp_path: Path, folder: Path) -> None:
    run = write_run(str(tmp_path))
    send_all([TRACKER], run)
    found = rows(folder)
    assert [row["images_seen"] for row in found if "loss/generator" in row] == STEPS
    assert [row["metric/frechet"] for row in found if "metric/frechet" in row] == pytest.approx([2.0, 4 / 3, 1.0])
    grids = [(row["images_seen"], row["samples.path"]) for row in found if "samples.path" in row]
    assert [seen for seen, _ in grids] == [250, 500, 750, 1000]
    assert all(list(folder.glob(f"offline-run-*/files/{path}")) for _, path in grids)
    head = runs(folder)[0]
    assert (head.run_id, head.display_name, head.project) == (tracking_id(run), "drawn", "faces")
    config = {update.key: json.loads(update.value_json) for update in head.config.update}
    assert config["train"]["batch_size"] == 64
    summary = [item for record in records(folder) for item in record.summary.update if item.key == "version"]
    assert json.loads(summary[-1].value_json) == f"{tmp_path}/models/drawn/0001"


def test_a_run_goes_on_with_the_same_id_and_nothing_twice(tmp_path: Path, folder: Path) -> None:
    run = write_run(str(tmp_path), until=500)
    sync = Sync(TRACKER, run)
    sync.send()
    sync.close()
    write_run(str(tmp_path))  # which replays the first half
    send_all([TRACKER], run)
    run.write_metrics(part_name(1, 750), [{**line, "attempt": 1} for line in train_lines(800)[-1:]])
    send_all([TRACKER], run)
    found = rows(folder)
    assert [row["images_seen"] for row in found if "loss/generator" in row] == [*STEPS, 800]
    assert [row["_step"] for row in found] == list(range(len(found)))
    assert {head.run_id for head in runs(folder)} == {tracking_id(run)}


def test_trials_are_in_the_sweep_s_group(tmp_path: Path, folder: Path) -> None:
    send_all([TRACKER], write_trials(str(tmp_path), 2))
    heads = {head.display_name: head for head in runs(folder)}
    assert sorted(heads) == ["0000", "0001", "drawn"]
    assert (heads["0000"].run_group, heads["0001"].run_group, heads["drawn"].run_group) == ("drawn", "drawn", "")
