"""The training loop in this process, without Ray: started again from any checkpoint, it ends with the same state and record."""

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch

from ganray.config import check_job, load_job
from ganray.config.schedules import decide_schedules
from ganray.errors import RunLocked
from ganray.metrics.score import Score
from ganray.runs.checkpoint import STATE
from ganray.runs.lock import LOCK, Fence
from ganray.runs.run import Run
from ganray.runs.status import EndReason, MonitorState
from ganray.storage import open_store
from ganray.train.context import WorkerContext
from ganray.train.worker import batches, loop, metrics
from tests.helpers.artifacts import PROTOCOL
from tests.helpers.cards import card

QUICKSTART = Path(__file__).parents[2] / "jobs/quickstart.yaml"
TINY = ["data.resolution=16", "networks={kind: dcgan, width: 8, latent_dim: 8, ghost_batch: 16}", "workers=1", "train.max_seconds=null"]
TINY += ["train.total_images=2560", "train.log_every=320", "train.checkpoint_every=640", "train.samples_every=100000"]
TINY += ["evaluate={every: 640, num_samples: 256}", "networks.conditional=false", "train.precision=float32", "train.keep_checkpoints=9"]
REALS = np.random.default_rng(0).integers(0, 256, (4096, 1, 16, 16), dtype=np.uint8)
ACTOR = SimpleNamespace(warn=SimpleNamespace(remote=lambda _: None))


@pytest.fixture(autouse=True)
def _without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(images_seen: int) -> tuple[np.ndarray, np.ndarray]:
        return REALS[images_seen : images_seen + 64], np.zeros(64, np.int64)

    client = SimpleNamespace(stop_requested=False, checkpoint_requested=False, push=lambda **_: None, warn=lambda _: None)
    monkeypatch.setattr(batches, "_reader", lambda context, attempt: read)
    monkeypatch.setattr(metrics, "ProgressClient", lambda _: client)
    monkeypatch.setattr(loop.ray.train, "report", lambda _: None)
    monkeypatch.setattr(loop.ray.train, "get_context", lambda: SimpleNamespace(get_local_rank=lambda: 1))  # 0 watches for spot notices
    monkeypatch.setattr(loop, "prepare_process", lambda _: torch.device("cpu"))


class Scorer:
    """Finds a recall by the number of evaluations that the run's record has seen; everything else is fine."""

    protocol = PROTOCOL

    def __init__(self, recalls: list[float]) -> None:
        self.recalls = iter(recalls)

    def __call__(self, *_: Any) -> Score:
        return Score(1.0, {"metric/frechet": 1.0, "metric/recall": next(self.recalls), "metric/diversity": 1.0}, PROTOCOL)


def train(run: Run, recalls: list[float], *overrides: str) -> None:
    """Train a run from its latest checkpoint to its end, with evaluations every 640 images that find these recalls."""
    job = check_job(decide_schedules(load_job(QUICKSTART, [*TINY, *overrides]).model_dump(mode="json"), 2560))
    latest = run.checkpoints.latest()
    done = latest.images_seen // 640 if latest else 0
    dataset = cast(Any, SimpleNamespace(card=card(len(REALS))))
    evaluation = cast(Any, SimpleNamespace(scorer=lambda _: Scorer(recalls[done:])))
    context = WorkerContext(job, run, dataset, cast(Any, object()), evaluation, ACTOR)
    loop.train_worker(context)


def ended(run: Run) -> tuple[int, EndReason | None, MonitorState, str]:
    """Return where and how a run ended, what its monitor remembers, and its state's hash."""
    checkpoint = run.checkpoints.latest()
    assert checkpoint is not None
    return checkpoint.images_seen, checkpoint.progress.ended, checkpoint.progress.monitor, checkpoint.files[STATE].sha256


@pytest.mark.parametrize(
    ("overrides", "recalls", "images", "reason"),
    [
        ([], [0.5, 0.4, 0.4, 0.5], 2560, EndReason.DONE),
        (["divergence.on_collapse=stop"], [0.5, 0.01, 0.01, 0.5], 2240, EndReason.COLLAPSED),
        (["divergence={on_collapse: stop, patience: 640}", "optimizer.generator.lr=1e-9"], [0.5] * 4, 960, EndReason.COLLAPSED),
    ],
)
def test_a_run_that_starts_again_from_any_checkpoint_ends_alike(
    tmp_path: Path, overrides: list[str], recalls: list[float], images: int, reason: EndReason
) -> None:
    run = Run(open_store(tmp_path), "runs/r")
    train(run, recalls, *overrides)
    unbroken = ended(run)
    assert unbroken[:2] == (images, reason)
    for kept in range(len(run.checkpoints.names()) - 1):  # killed after this many checkpoints
        again = Run(open_store(tmp_path / f"{kept}"), "runs/r")
        for name in run.checkpoints.names()[:kept]:
            shutil.copytree(tmp_path / f"runs/r/checkpoints/{name}", tmp_path / f"{kept}/runs/r/checkpoints/{name}")
        train(again, recalls, *overrides)
        assert ended(again) == unbroken


def test_checkpoints_may_be_due_by_the_clock_and_change_nothing_of_the_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    by_images, by_time = (Run(open_store(tmp_path / name), "runs/r") for name in ("images", "time"))
    train(by_images, [0.5] * 4, "evaluate.every=2560")
    now = [0.0]
    monkeypatch.setattr(metrics.time, "monotonic", lambda: now[0])
    add = metrics.MetricsLogger.add
    monkeypatch.setattr(metrics.MetricsLogger, "add", lambda *arguments: (now.__setitem__(0, now[0] + 1), add(*arguments)))
    train(by_time, [0.5] * 4, "evaluate.every=2560", "train.checkpoint_every={seconds: 12}")  # of 40 steps; a line every 5
    images = [int(name.split("-")[1]) for name in by_time.checkpoints.names()]
    assert images == [15 * 64, 30 * 64, 40 * 64]
    assert ended(by_time) == ended(by_images)


def test_a_worker_whose_run_was_taken_over_fails_for_ray_train_to_end_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It must not end as if all were well: the others wait for it in a barrier."""
    store = open_store(tmp_path)
    record = store.child("runs/r")
    record.write(LOCK, b'{"id": "ours"}')

    def read(images_seen: int) -> tuple[np.ndarray, np.ndarray]:
        if images_seen == 1280:
            record.write(LOCK, b'{"id": "another", "pid": 1, "host": "elsewhere"}')
        return REALS[images_seen : images_seen + 64], np.zeros(64, np.int64)

    monkeypatch.setattr(batches, "_reader", lambda context, attempt: read)
    run = Run(store, "runs/r", fence=Fence(record, "r", "ours"))
    with pytest.raises(RunLocked, match="taken over by process 1 on elsewhere"):
        train(run, [0.5] * 4)
    assert 0 < len(run.checkpoints.names()) < 4
