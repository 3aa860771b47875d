"""A command reads what a run was created with once, and a start of workers downloads the training state once, however many they are."""

from pathlib import Path

import pytest

import ganray
from ganray.runs.status import TrainingResult
from ganray.storage.local import LocalStore
from ganray.train import train
from tests.helpers.fashion import few_images
from tests.helpers.recording_store import RecordingStore, recorded
from tests.helpers.runs import REPOSITORY, TINY

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("ray_address")]


def test_job_and_dataset_are_read_once_a_command_and_the_state_once_a_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "log"
    monkeypatch.setattr(train, "open_job_storage", lambda uri: RecordingStore(LocalStore(str(Path(uri).absolute())).root, str(log)))

    def run(total_images: int) -> TrainingResult:
        log.unlink(missing_ok=True)
        settings = [*TINY, f"storage={tmp_path / 'store'}", f"train.total_images={total_images}", "train.checkpoint_every=640", "workers=2"]
        return ganray.run_training(ganray.load_job(REPOSITORY / "jobs/quickstart.yaml", [*settings, "publish.auto=false"]))

    with few_images(1000):
        assert run(1280).images_seen == 1280
    assert (recorded(log, "read", "job.json"), recorded(log, "read", "dataset.json")) == (0, 0)
    assert recorded(log, "download", "state.pt") == 0

    assert run(1920).images_seen == 1920
    assert (recorded(log, "read", "job.json"), recorded(log, "read", "dataset.json"), recorded(log, "read", "card.json")) == (1, 1, 1)
    assert recorded(log, "download", "state.pt") == 1

    assert run(1920).was_finished
    assert (recorded(log, "read", "job.json"), recorded(log, "read", "dataset.json")) == (1, 1)
    assert recorded(log, "download", "state.pt") == 0
