"""Runs in TensorBoard, as its own reader sees them: one history, whatever was interrupted."""

from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from ganray.config import TensorBoardTracker
from ganray.runs.metrics_log import part_name
from ganray.storage import open_store
from ganray.track.sync import Sync, send_all
from tests.helpers.drawn import EVERY, TOTAL, train_lines, write_run, write_trials


def read(folder: Path) -> EventAccumulator:
    """Return what TensorBoard reads from a folder, all of it."""
    accumulator = EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0, "tensors": 0})
    return accumulator.Reload()


def steps(found: EventAccumulator, tag: str = "loss/generator") -> list[int]:
    return [event.step for event in found.Scalars(tag)]


def test_scalars_grids_hyperparameters_and_the_version_are_there(tmp_path: Path) -> None:
    run = write_run(str(tmp_path))
    send_all([TensorBoardTracker()], run)
    found = read(tmp_path / "tensorboard/drawn")
    assert steps(found) == list(range(EVERY, TOTAL + 1, EVERY))
    assert [event.value for event in found.Scalars("metric/frechet")] == pytest.approx([2.0, 4 / 3, 1.0])
    assert [event.step for event in found.Images("samples")] == [250, 500, 750, 1000]
    assert found.Images("samples")[-1].encoded_image_string == run.store.read("samples/000000001000.png")
    assert "r1_gamma" in found.Tensors("job/text_summary")[0].tensor_proto.string_val[0].decode()
    assert found.Tensors("version/text_summary")[0].tensor_proto.string_val[0].decode() == f"{tmp_path}/models/drawn/0001"
    told = HParamsPluginData.FromString(found.SummaryMetadata("_hparams_/session_start_info").plugin_data.content)
    assert told.session_start_info.hparams["train.batch_size"].number_value == 64
    assert told.session_start_info.hparams["loss.kind"].string_value == "non-saturating"


def test_a_second_start_goes_on_with_one_history_for_a_reader_that_watched_the_first(tmp_path: Path) -> None:
    run = write_run(str(tmp_path), until=500)
    Sync(TensorBoardTracker(), run).send()  # its process is killed after this
    watching = read(tmp_path / "tensorboard/drawn")
    assert steps(watching) == list(range(EVERY, 501, EVERY))
    write_run(str(tmp_path))  # which replays the first half
    send_all([TensorBoardTracker()], run)
    for found in (watching.Reload(), read(tmp_path / "tensorboard/drawn")):
        assert steps(found) == list(range(EVERY, TOTAL + 1, EVERY))
        assert [event.step for event in found.Images("samples")] == [250, 500, 750, 1000]
    for _ in range(3):
        send_all([TensorBoardTracker()], run)
    assert len(list((tmp_path / "tensorboard/drawn").iterdir())) == 2  # of this start and the one before
    assert len(steps(watching.Reload())) == 20


def test_what_comes_later_is_appended_and_a_rollback_replaces_what_it_undid(tmp_path: Path) -> None:
    run = write_run(str(tmp_path), until=500)
    sync = Sync(TensorBoardTracker(), run)
    sync.send()
    again = [{**line, "attempt": 1, "loss/generator": 7.0} for line in train_lines(600) if line["images_seen"] > 250]
    run.write_metrics(part_name(1, 250), again)
    sync.send()
    sync.close()
    found = read(tmp_path / "tensorboard/drawn")
    assert steps(found) == list(range(EVERY, 601, EVERY))
    assert [event.value for event in found.Scalars("loss/generator")][5:] == [7.0] * 7


def test_trials_of_a_sweep_lie_below_it(tmp_path: Path) -> None:
    send_all([TensorBoardTracker()], write_trials(str(tmp_path), 2))
    for number in (0, 1):
        found = read(tmp_path / f"tensorboard/drawn/{number:04d}")
        assert steps(found) == list(range(EVERY, TOTAL + 1, EVERY))


def test_on_s3_event_files_are_uploaded(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ganray.track.tensorboard.UPLOAD_EVERY_S", 0.0)
    run = write_run(bucket, until=500)
    sync = Sync(TensorBoardTracker(), run)
    sync.send()
    run.write_metrics(part_name(0, 500), train_lines(TOTAL)[10:])
    sync.send()
    sync.close()
    store = open_store(bucket).child("tensorboard/drawn")
    keys = [info.key for info in store.list("")]
    assert len(keys) > 1
    for key in keys:
        store.download(key, tmp_path / key)
    assert steps(read(tmp_path)) == list(range(EVERY, TOTAL + 1, EVERY))
