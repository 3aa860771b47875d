"""The batch loader of a worker: its rank's part of the reals, latents, labels and random numbers of every step, made ahead."""

from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Self, TypeVar

import numpy as np
import ray.train
import torch
from torch import Tensor

from ganray.config import Job, TableNetworks
from ganray.config.training import Share, share_of
from ganray.data.loading.prefetch import Prefetcher
from ganray.data.loading.resident import Resident
from ganray.data.loading.streaming import Streaming
from ganray.gan.augment import mirror
from ganray.gan.batch import Batch, draw_inputs, num_uniforms
from ganray.gan.distributed import rank, world_size
from ganray.gan.layouts.table import TableLayout, given_columns
from ganray.gan.random_streams import RandomStream
from ganray.train.context import WorkerContext

MaybeTensor = TypeVar("MaybeTensor", Tensor, Tensor | None)
Inputs = tuple[Tensor, Tensor, Tensor | None, Tensor | None]  # samples as stored, latents, labels (or given columns), uniforms


class BatchLoader:
    """Yields this rank's local batch of every step, on the device, from `start` images on."""

    def __init__(self, context: WorkerContext, device: torch.device, *, start: int, attempt: int) -> None:
        job = context.job
        self.device, self.layout = device, context.layout
        self.share = local_share(job)
        self.conditional = job.networks.conditional
        self.draw = partial(
            draw_inputs,
            job.seed,
            attempt,
            latent_dim=job.networks.latent_dim,
            uniforms=num_uniforms(job.augment, job.penalties, job.networks),
        )
        self.given = _given(context, attempt, self.share.size)
        self.mirror = partial(mirror, seed=job.seed, attempt=attempt) if job.augment.mirror else None
        self.read = _reader(context, attempt)
        self.prefetcher: Prefetcher[Inputs] = Prefetcher(self._make, start=start, step=job.train.batch_size)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.prefetcher.close()

    def next(self) -> Batch:
        """Return the next step's local batch, waiting for it if need be."""
        samples, latents, labels, uniforms = (self._move(part) for part in self.prefetcher.next())
        assert samples is not None
        assert latents is not None
        reals = self.layout.from_samples(samples)
        if isinstance(self.layout, TableLayout) and labels is not None:
            labels = self.layout.conditions(reals, labels)
        return Batch(reals, latents, labels, uniforms)

    @property
    def waited_s(self) -> float:
        """Seconds that training has waited for data so far."""
        return self.prefetcher.waited_s

    def _make(self, images_seen: int) -> Inputs:
        stored, classes = self.read(images_seen)
        start = images_seen + self.share.start
        samples = torch.from_numpy(stored)
        if self.mirror:
            samples = self.mirror(samples, start=start)
        latents, uniforms = self.draw(start=start, number=self.share.size)
        labels = torch.from_numpy(classes) if self.conditional else self.given(start) if self.given else None
        return self._pin(samples), self._pin(latents), self._pin(labels), self._pin(uniforms)

    def _pin(self, tensor: MaybeTensor) -> MaybeTensor:
        return tensor if tensor is None or self.device.type != "cuda" else tensor.pin_memory()

    def _move(self, tensor: MaybeTensor) -> MaybeTensor:
        return tensor if tensor is None else tensor.to(self.device, non_blocking=True)


def _reader(context: WorkerContext, attempt: int) -> Callable[[int], tuple[np.ndarray, np.ndarray]]:
    """Return what reads this rank's samples and labels of the step that starts at a number of images seen."""
    share = local_share(context.job)
    if context.resident is None:
        batches = iter(Streaming(ray.train.get_dataset_shard("train"), context.dataset, local_batch_size=share.size))
        return lambda _: next(batches)
    resident = Resident(context.resident, seed=context.job.seed, attempt=attempt)
    return lambda images_seen: resident.samples(images_seen + share.start, share.size)


def _given(context: WorkerContext, attempt: int, size: int) -> Callable[[int], Tensor] | None:
    """Return what draws which columns of rows are given, [size, columns], for networks of tables that learn to complete rows."""
    networks = context.job.networks
    if not isinstance(networks, TableNetworks) or not networks.given:
        return None
    (columns,) = context.dataset.card.shape
    stream = RandomStream(context.job.seed, "given", attempt)
    return lambda start: given_columns(stream, start, size, columns, share=networks.given)


def local_share(job: Job) -> Share:
    """Return this rank's share of a global batch."""
    return share_of(rank(), world_size(), batch_size=job.train.batch_size, ghost_batch=job.networks.ghost_batch)
