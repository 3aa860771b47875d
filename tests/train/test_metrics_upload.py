"""Metrics reach the store while a run trains, whatever becomes of its checkpoints, and an outage loses none."""

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ganray.errors import StorageError
from ganray.gan.state import GanState
from ganray.runs.metrics_log import Record
from ganray.runs.run import Run
from ganray.storage import open_store
from ganray.train.worker import metrics_upload
from ganray.train.worker.metrics_upload import UPLOAD_EVERY_S, MetricsUploader


@pytest.fixture(params=["local", "s3"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    return Run(open_store(tmp_path if request.param == "local" else request.getfixturevalue("bucket")), "runs/r")


def at(images_seen: int, attempt: int = 0) -> GanState:
    return cast(GanState, SimpleNamespace(images_seen=images_seen, attempt=attempt))


def line(images_seen: int) -> Record:
    return {"kind": "train", "images_seen": images_seen, "attempt": 0}


def images(run: Run) -> list[int]:
    return [record["images_seen"] for record in run.metrics()]


def test_lines_reach_the_store_without_a_checkpoint(run: Run) -> None:
    assert UPLOAD_EVERY_S <= 10
    uploader = MetricsUploader(run, at(0), every_s=0.05)
    uploader.start()
    for number in (1, 2):
        uploader.add(line(100 * number))
        until = time.monotonic() + 20
        while len(images(run)) < number:
            assert time.monotonic() < until
            time.sleep(0.01)
    uploader.close()
    assert [info.key for info in run.store.list("metrics/")] == ["metrics/000-000000000000-on.jsonl"]


def test_a_replay_writes_the_parts_after_its_checkpoint_anew(run: Run) -> None:
    first = MetricsUploader(run, at(0))
    first.add(line(100))
    first.begin_part(0, 100)
    for images_seen in (200, 300):
        first.add(line(images_seen))
    first.close()
    assert images(run) == [100, 200, 300]
    again = MetricsUploader(run, at(100))
    again.add({**line(200), "time/images_per_s": 7.0})
    again.close()
    assert images(run) == [100, 200]
    assert len(run.store.list("metrics/")) == 2


def test_an_outage_keeps_lines_back_and_loses_none(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    write = Run.write_metrics

    def fail(*_: Any) -> None:
        raise StorageError("storage", "no connection", "wait")

    monkeypatch.setattr(Run, "write_metrics", fail)
    uploader = MetricsUploader(run, at(0))
    uploader.add(line(100))
    uploader.begin_part(0, 100)
    uploader.add(line(200))
    with pytest.raises(StorageError):
        uploader.upload()
    monkeypatch.setattr(Run, "write_metrics", write)
    uploader.add(line(300))
    uploader.close()
    assert images(run) == [100, 200, 300]


def test_long_parts_are_closed_so_that_little_is_written_again(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_upload, "MAX_RECORDS", 3)
    uploader = MetricsUploader(run, at(0))
    written: list[int] = []
    monkeypatch.setattr(Run, "write_metrics", lambda _, part, records: written.append(len(records)))
    for number in range(1, 8):
        uploader.add(line(100 * number))
        uploader.upload()
    assert written == [1, 2, 3, 1, 2, 3, 1]
