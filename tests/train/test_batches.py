"""The batch loader: what a rank reads, mirrored where the job asks for it."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import torch

from ganray.config import load_job
from ganray.gan.augment import mirror
from ganray.gan.batch import Batch
from ganray.gan.layouts import PixelLayout, from_pixels
from ganray.train.context import WorkerContext
from ganray.train.worker import batches

QUICKSTART = Path(__file__).parents[2] / "jobs/quickstart.yaml"
PIXELS = np.random.default_rng(0).integers(0, 256, (256, 1, 8, 8), dtype=np.uint8)


def load(monkeypatch: pytest.MonkeyPatch, *overrides: str, rank: int, world_size: int, start: int) -> Batch:
    """Return a rank's first batch of a run whose reals are PIXELS in order."""
    job = load_job(QUICKSTART, ["networks.conditional=false", *overrides])
    local = job.train.batch_size // world_size

    def read(images_seen: int) -> tuple[np.ndarray, np.ndarray]:
        first = images_seen + rank * local
        return PIXELS[first : first + local], np.zeros(local, np.int64)

    monkeypatch.setattr(batches, "_reader", lambda context, attempt: read)
    monkeypatch.setattr(batches, "rank", lambda: rank)
    monkeypatch.setattr(batches, "world_size", lambda: world_size)
    context = cast(WorkerContext, SimpleNamespace(job=job, layout=PixelLayout(PIXELS.shape[1:])))
    with batches.BatchLoader(context, torch.device("cpu"), start=start, attempt=0) as loader:
        return loader.next()


@pytest.mark.parametrize("start", [0, 128])
def test_reals_are_mirrored_alike_for_any_number_of_workers(monkeypatch: pytest.MonkeyPatch, start: int) -> None:
    expected = from_pixels(mirror(torch.from_numpy(PIXELS[start : start + 64]), seed=0, attempt=0, start=start))
    for world_size in (1, 2):
        ranks = [load(monkeypatch, "augment.mirror=true", rank=rank, world_size=world_size, start=start) for rank in range(world_size)]
        assert torch.equal(torch.cat([batch.real_images for batch in ranks]), expected)


def test_without_mirroring_reals_are_as_they_were_read(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, mirrored = (load(monkeypatch, f"augment.mirror={flag}", rank=0, world_size=1, start=0) for flag in ("false", "true"))
    assert torch.equal(plain.real_images, from_pixels(torch.from_numpy(PIXELS[:64])))
    assert torch.equal(plain.latents, mirrored.latents)
