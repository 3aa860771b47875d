"""What a worker trains on: its share of reals and latents for every step, made ahead in the background."""

from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Self

import numpy as np
import ray.train
import torch
from torch import Tensor

from ganray.data.loading.prefetch import Prefetcher
from ganray.data.loading.resident import Resident
from ganray.data.loading.streaming import Streaming
from ganray.gan.batch import Batch, draw_inputs, num_uniforms
from ganray.gan.distributed import rank, world_size
from ganray.gan.sampling import from_pixels
from ganray.train.context import WorkerContext


class BatchLoader:
    """Yields this rank's share of every step, on the device, from `start` images on."""

    def __init__(self, setup: WorkerContext, device: torch.device, *, start: int, attempt: int) -> None:
        job = setup.job
        self.device = device
        self.share = job.train.batch_size // world_size()
        self.conditional = job.networks.conditional
        self.draw = partial(
            draw_inputs, job.seed, attempt, latent_dim=job.networks.latent_dim, uniforms=num_uniforms(job.augment, job.penalties)
        )
        self.read = _reader(setup, attempt)
        self.prefetcher = Prefetcher(self._make, start=start, step=job.train.batch_size)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.prefetcher.close()

    def next(self) -> Batch:
        """Return the next step's share, waiting for it if need be."""
        pixels, *others = (tensor if tensor is None else tensor.to(self.device, non_blocking=True) for tensor in self.prefetcher.next())
        return Batch(from_pixels(pixels), *others)

    @property
    def waited_s(self) -> float:
        """Seconds that training has waited for data so far."""
        return self.prefetcher.waited_s

    def _make(self, images_seen: int) -> tuple[Tensor | None, ...]:
        images, labels = self.read(images_seen)
        latents, uniforms = self.draw(start=images_seen + rank() * self.share, number=self.share)
        labels = torch.from_numpy(labels) if self.conditional else None
        return tuple(self._pin(tensor) for tensor in (torch.from_numpy(images), latents, labels, uniforms))

    def _pin(self, tensor: Tensor | None) -> Tensor | None:
        return tensor.pin_memory() if tensor is not None and self.device.type == "cuda" else tensor


def _reader(setup: WorkerContext, attempt: int) -> Callable[[int], tuple[np.ndarray, np.ndarray]]:
    """Return what reads this rank's share of the step that starts at a number of images seen."""
    batch_size = setup.job.train.batch_size
    if setup.resident is None:
        batches = iter(Streaming(ray.train.get_dataset_shard("train"), setup.prepared, share=batch_size // world_size()))
        return lambda _: next(batches)
    resident = Resident(setup.resident, seed=setup.job.seed, attempt=attempt)
    return lambda images_seen: resident.batch(images_seen, rank(), world_size(), batch_size)
