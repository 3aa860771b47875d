"""What Ray Train is given of a run."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from ray.train.v2._internal.callbacks.datasets import DatasetsCallback
from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback

from ganray.config import load_job
from ganray.runs.run import Run
from ganray.storage import open_store
from ganray.train import trainer
from ganray.train.context import WorkerContext
from ganray.train.controller import policies
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


@pytest.mark.parametrize(("datasets", "kept"), [({}, 2), ({"train": None}, 3)])
def test_ray_train_starts_no_actor_that_outlives_controllers_and_none_for_data_that_is_not_there(
    monkeypatch: pytest.MonkeyPatch, datasets: dict[str, Any], kept: int
) -> None:
    given: dict[str, Any] = {}
    monkeypatch.setattr(policies.DataParallelTrainer, "__init__", lambda self, **settings: vars(self).update(settings))
    monkeypatch.setattr(policies.Trainer, "_run_controller", lambda _, settings: given.update(settings))
    limits, of_data = cast(Any, object()), DatasetsCallback(cast(Any, SimpleNamespace(dataset_config=None)), datasets)
    others = [object(), object(), of_data, PlacementGroupCleanerCallback()]
    ours = policies.Trainer(run_config=SimpleNamespace(failure_config=None), limits=limits, datasets=datasets)
    ours._initialize_and_run_controller(failure_policy=None, scaling_policy=None, callbacks=others)
    assert given["callbacks"] == [*others[:kept], limits]
