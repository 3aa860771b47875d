"""Dry run: what a job would run, in words, without starting anything. Imports neither torch nor ray."""

import os
from pathlib import Path
from typing import Any

from ganray.config import Job
from ganray.config.compatibility import KINDS
from ganray.config.training import Seconds, deal


def plan(job: Job, *, address: str | None = None) -> dict[str, Any]:
    """Return, by name and in reading order, what `ganray train` would do with this job."""
    train, storage = job.train, absolute(job.storage)
    run = f"{storage}/runs/{job.name}"
    cluster = address or os.environ.get("RAY_ADDRESS") or "a local Ray of its own"
    gpu = {"auto": "a GPU each, if the cluster has as many", True: f"{job.resources.gpus_per_worker:g} GPU each", False: "no GPU"}[
        job.use_gpu
    ]
    publishes = job.publish.auto and job.evaluate.enabled
    limit = f", or {train.max_seconds:g} s" if train.max_seconds else ""
    return {
        "run": job.name,
        "cluster": cluster,
        "workers": f"{_workers(job)}, with {job.resources.cpus_per_worker:g} CPU and {gpu}",
        "batch": _batch(job),
        "precision": train.precision,
        "data": f"{_source(job)} as {_samples(job)}, {job.data.mode}",
        "networks": f"{_networks(job)}, width {job.networks.width}, latent_dim {job.networks.latent_dim}",
        **({"starts from": absolute(train.start_from)} if train.start_from else {}),
        "loss": f"{job.loss.kind}, {_augment(job)}{_penalties(job)}",
        "images": f"{train.total_images:,}{limit}, {-(-train.total_images // train.batch_size):,} steps",
        "checkpoints": f"{_checkpoints(job)}, in {run}/checkpoints",
        "evaluations": _evaluations(job),
        "samples": f"every {train.samples_every:,} images, in {run}/samples",
        "dataset": f"{storage}/datasets",
        "publishes": f"{storage}/models/{job.model_name}" if publishes else "nothing until `ganray publish`",
    }


def _samples(job: Job) -> str:
    """Return what the data is made to, as far as the job alone tells."""
    if KINDS[job.data.modality.kind].has_pixels:
        channels, height, width = job.data.shape
        return f"{channels} x {height} x {width}"
    return KINDS[job.data.modality.kind].nouns


def _evaluations(job: Job) -> str:
    every = f"every {job.evaluate.every:,} images"
    return f"{every} on {job.evaluate.num_samples:,} samples" if job.evaluate.enabled else f"none; a generator is kept {every}"


def _networks(job: Job) -> str:
    return f"{'conditional ' if job.networks.conditional else ''}{job.networks.kind}"


def _batch(job: Job) -> str:
    parts = f" in {job.train.accumulate} parts" if job.train.accumulate > 1 else ""
    groups = f", normalised in groups of {job.networks.ghost_batch}" if job.networks.ghost_batch > 1 else ""
    ends = [deal(job.train.batch_size, workers, ghost_batch=job.networks.ghost_batch) for workers in (job.max_workers, job.min_workers)]
    smallest, largest = min(share.size for share in ends[0]), max(share.size for share in ends[1])
    local = f"{largest}" if smallest == largest else f"{smallest} to {largest}"
    return f"{job.train.batch_size}, {local} a worker{parts}{groups}"


def _checkpoints(job: Job) -> str:
    every = job.train.checkpoint_every
    if isinstance(every, Seconds):
        return f"every {every.seconds:g} s"
    return f"every {every:,}, about {job.train.total_images // every}"


def _workers(job: Job) -> str:
    return f"{job.max_workers}" if job.min_workers == job.max_workers else f"{job.min_workers} to {job.max_workers}"


def _augment(job: Job) -> str:
    return f"{'augmented, ' if job.augment.kind != 'none' else ''}{'reals mirrored, ' if job.augment.mirror else ''}"


def _penalties(job: Job) -> str:
    names = [*job.penalties.weights, *(["spectral norm"] if job.penalties.spectral_norm else [])]
    return f"with {', '.join(names)}" if names else "without penalties"


def absolute(storage: str) -> str:
    """Return a storage as it is wherever one stands."""
    return storage if "://" in storage else str(Path(storage).absolute())


def _source(job: Job) -> str:
    source = job.data.source
    return f"{source.kind} {getattr(source, 'path', None) or getattr(source, 'split', '')}".strip()
