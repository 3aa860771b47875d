"""What Ray Train is given of a run."""

from pathlib import Path
from typing import Any, cast

import pytest

from ganray.config import load_job
from ganray.runs.run import Run
from ganray.storage import open_store
from ganray.train import trainer
from ganray.train.context import WorkerContext
from tests.helpers.runs import REPOSITORY


def test_workers_get_their_context_and_the_dashboard_the_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = load_job(REPOSITORY / "jobs/quickstart.yaml", ["use_gpu=false", "train.total_images=640"])
    context = WorkerContext(job, Run(open_store(tmp_path), "runs/r"), cast(Any, None), cast(Any, object()), None, None)
    monkeypatch.setattr(trainer, "Trainer", lambda call, **settings: (call, settings))
    trained: list[WorkerContext] = []
    call, settings = cast(Any, trainer.build_trainer(context, str(tmp_path), trained.append))
    assert settings["train_loop_config"] == job.model_dump(mode="json")
    call(settings["train_loop_config"])
    assert trained == [context]
