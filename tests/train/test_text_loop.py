"""Training on texts in a worker's loop: scored by n-grams, and killed anywhere it ends with the same state."""

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch

from ganray.config import Networks, check_job
from ganray.config.schedules import decide_schedules
from ganray.data.dataset import PreparedDataset
from ganray.data.loading.reading import read_shard
from ganray.evaluation.evaluation import find_evaluation
from ganray.runs.checkpoint import STATE
from ganray.runs.run import Run
from ganray.storage import open_store
from ganray.train.context import WorkerContext
from ganray.train.worker import batches, loop, metrics, resume
from tests.helpers.gan_runs import on_ranks
from tests.helpers.texts import NETWORKS, RECURRENT, write_texts

ACTOR = SimpleNamespace(warn=SimpleNamespace(remote=lambda _: None))
JOB = {
    "data": {"modality": "text", "source": {"kind": "lines", "path": "x"}, "mode": "resident"},
    "use_gpu": False,
    "train": {"total_images": 1280, "batch_size": 64, "log_every": 320, "checkpoint_every": 320, "keep_checkpoints": 9},
    "evaluate": {"every": 640, "num_samples": 256},
}
JOB["train"] |= {"precision": "float32", "samples_every": 640}  # type: ignore[operator]


@pytest.fixture
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PreparedDataset:
    """Texts, whose batches are read without Ray."""
    dataset = write_texts(open_store(tmp_path))
    shard = read_shard(dataset, 0)

    def read(images_seen: int) -> tuple[np.ndarray, np.ndarray]:
        rows = np.arange(images_seen, images_seen + 64) % len(shard.samples)
        return shard.samples[rows], shard.labels[rows].astype(np.int64)

    client = SimpleNamespace(stop_requested=False, checkpoint_requested=False, push=lambda **_: None, warn=lambda _: None)
    monkeypatch.setattr(batches, "_reader", lambda context, attempt: read)
    monkeypatch.setattr(metrics, "ProgressClient", lambda _: client)
    monkeypatch.setattr(loop.ray.train, "report", lambda _: None)
    return dataset


def context_of(run: Run, dataset: PreparedDataset, networks: Networks = NETWORKS) -> WorkerContext:
    content = {**JOB, "networks": {**networks.model_dump(), "conditional": True}}
    job = check_job(decide_schedules(check_job(content).model_dump(mode="json"), 1280))
    return WorkerContext(job, run, dataset, cast(Any, object()), find_evaluation(job, dataset)[0], ACTOR)


def train(run: Run, dataset: PreparedDataset, networks: Networks) -> None:
    context = context_of(run, dataset, networks)
    found = resume.load_latest(context, torch.device("cpu"))
    assert found is not None
    loop.train(context, torch.device("cpu"), *found)


def state_of(run: Run) -> str:
    checkpoint = run.checkpoints.latest()
    assert checkpoint is not None
    assert checkpoint.images_seen == 1280
    return checkpoint.files[STATE].sha256


@pytest.mark.parametrize("networks", [NETWORKS, RECURRENT], ids=lambda networks: networks.kind)
def test_a_run_on_texts_that_starts_again_from_any_checkpoint_ends_alike(
    networks: Networks, tmp_path: Path, dataset: PreparedDataset
) -> None:
    run = Run(open_store(tmp_path), "runs/r")
    train(run, dataset, networks)
    best = run.checkpoints.best_score()
    assert best is not None
    assert (best.protocol.metric, best.protocol.extractor) == ("metric/ngram_4", None)
    assert 0 < best.score < 1
    assert {name.rpartition("/")[2] for name in (info.key for info in run.store.list("samples/"))} == {
        "000000000640.png",
        "000000001280.png",
    }
    for kept in range(len(run.checkpoints.names()) - 1):
        again = Run(open_store(tmp_path / f"{kept}"), "runs/r")
        for name in run.checkpoints.names()[:kept]:
            shutil.copytree(tmp_path / f"runs/r/checkpoints/{name}", tmp_path / f"{kept}/runs/r/checkpoints/{name}")
        train(again, dataset, networks)
        assert state_of(again) == state_of(run)


def scores_on_rank(*, rank: int, world_size: int, store: Path) -> dict[str, float] | None:
    """Return the scores of an untrained generator of texts, as rank 0 has them."""
    torch.set_num_threads(1)
    context = context_of(Run(open_store(store), "runs/r"), write_texts(open_store(store / f"{rank}")))
    assert context.evaluation is not None
    generator = loop_state(context)
    score = context.evaluation.scorer()(generator, context.prior)
    return score.scores if score else None


def loop_state(context: WorkerContext) -> torch.nn.Module:
    return resume.random_state(context, torch.device("cpu")).generator.eval()


def test_two_workers_score_the_very_texts_that_one_does(tmp_path: Path) -> None:
    one = scores_on_rank(rank=0, world_size=1, store=tmp_path)
    assert one is not None
    assert on_ranks(2, tmp_path, scores_on_rank, store=tmp_path) == [one, None]
