"""What a worker trains on: its share of reals and latents for every step, made ahead in the background."""

from collections.abc import Callable
from types import TracebackType
from typing import Self

import numpy as np
import ray.train
import torch
from torch import Tensor

from ganray.data.prefetch import Prefetcher
from ganray.data.stream import Resident, Streaming
from ganray.gan.draws import Draws
from ganray.gan.sampling import from_pixels
from ganray.train.collective import rank, world_size
from ganray.train.setup import WorkerSetup

Batch = tuple[np.ndarray, np.ndarray]


class Feed:
    """Yields (real images [n, C, H, W] in [-1, 1], latents [n, latent_dim]) on the device, from `start` images on."""

    def __init__(self, setup: WorkerSetup, device: torch.device, *, start: int, attempt: int) -> None:
        job = setup.job
        self.device = device
        self.share = job.train.batch_size // world_size()
        self.latent_dim = job.networks.latent_dim
        self.latents = Draws(job.seed, "latents", attempt)
        self.read = _reader(setup, attempt)
        self.prefetcher = Prefetcher(self._make, start=start, step=job.train.batch_size)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.prefetcher.close()

    def next(self) -> tuple[Tensor, Tensor]:
        """Return the next step's share, waiting for it if need be."""
        images, latents = self.prefetcher.next()
        return from_pixels(images.to(self.device, non_blocking=True)), latents.to(self.device, non_blocking=True)

    @property
    def waited_s(self) -> float:
        """Seconds that training has waited for data so far."""
        return self.prefetcher.waited_s

    def _make(self, images_seen: int) -> tuple[Tensor, Tensor]:
        images, _ = self.read(images_seen)
        latents = self.latents.normals(images_seen + rank() * self.share, self.share, self.latent_dim)
        return self._pin(torch.from_numpy(images)), self._pin(latents)

    def _pin(self, tensor: Tensor) -> Tensor:
        return tensor.pin_memory() if self.device.type == "cuda" else tensor


def _reader(setup: WorkerSetup, attempt: int) -> Callable[[int], Batch]:
    """Return what reads this rank's share of the step that starts at a number of images seen."""
    batch_size = setup.job.train.batch_size
    if setup.resident is None:
        batches = iter(Streaming(ray.train.get_dataset_shard("train"), setup.prepared, share=batch_size // world_size()))
        return lambda _: next(batches)
    resident = Resident(setup.resident, seed=setup.job.seed, attempt=attempt)
    return lambda images_seen: resident.batch(images_seen, rank(), world_size(), batch_size)
