"""The extractor of a dataset: shipped, given by the user, or fitted once on the cluster and kept beside the dataset."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import ray
import torch
from torch import Tensor

from ganray.cluster.errors import unwrapped_errors
from ganray.config import ClassifierExtractor, Extractor, Job
from ganray.data.dataset import PreparedDataset
from ganray.data.loading.reading import read_shard
from ganray.errors import DataError
from ganray.evaluation.extractor_weights import SEED, ResolvedExtractor, extractor_key, find_weights, resolved
from ganray.metrics.as_pixels import as_pixels, num_channels
from ganray.metrics.feature_extractor import FeatureNetwork, extractor_hash, facts, load_extractor, save
from ganray.metrics.fitting import Dataset, fit_classifier, fit_rotation

MAX_SHARDS = 64  # read for a fit, spread evenly: about 1 GB of pixels


@dataclass(frozen=True)
class FittedExtractor:
    """An extractor's weights file, by content: `hash` is its name in a protocol."""

    hash: str
    weights: bytes

    def network(self) -> FeatureNetwork:
        """Return the network, in eval mode on the CPU."""
        return load_extractor(self.weights)

    def facts(self) -> dict[str, Any]:
        """Return how the network was fitted, and its accuracy on held-out samples."""
        return facts(self.weights)


def ensure_extractor(extractor: Extractor, dataset: PreparedDataset, fit: Callable[[], bytes]) -> FittedExtractor:
    """Return the extractor that a resolved job names, made by `fit`, and kept beside the dataset, if nobody has."""
    key, weights = find_weights(resolved(extractor), dataset)
    if weights is None:
        dataset.storage.write_if_absent(key, fit())
        weights = dataset.storage.read(key)  # of two that fit at once, both use the first
    return _checked(weights, dataset)


def find_fitted(extractor: Extractor, dataset: PreparedDataset) -> FittedExtractor | None:
    """Return the extractor that a resolved job names, None if it is to be fitted. Raises `DataError` for one that does not fit the data."""
    _, weights = find_weights(resolved(extractor), dataset)
    return None if weights is None else _checked(weights, dataset)


def _checked(weights: bytes, dataset: PreparedDataset) -> FittedExtractor:
    network = load_extractor(weights)
    if network.channels != (channels := num_channels(dataset.card.shape)):
        problem = f"its network takes {network.channels} channels and the data has {channels}"
        raise DataError("evaluate.extractor.weights", problem, "leave it at auto to have one fitted")
    return FittedExtractor(extractor_hash(weights), weights)


def fit_anew(job: Job, dataset: PreparedDataset, *, progress: Callable[[int, int], None] | None = None) -> FittedExtractor:
    """Fit an extractor whether there is one or not, and keep it beside the dataset."""
    weights = fit_on_cluster(job, dataset, progress=progress)
    dataset.storage.write(extractor_key(resolved(job.evaluate.extractor), dataset), weights)
    return FittedExtractor(extractor_hash(weights), weights)


def fit_on_cluster(job: Job, dataset: PreparedDataset, *, progress: Callable[[int, int], None] | None = None) -> bytes:
    """Fit an extractor in a Ray task, on a GPU where the job uses them, and return its weights file."""
    actor: Any = ray.remote(num_cpus=0)(ProgressMeter)
    meter = actor.remote()
    task = fit.options(num_cpus=1, num_gpus=job.resources.gpus_per_worker if job.use_gpu is True else 0)
    pending = task.remote(resolved(job.evaluate.extractor), dataset, meter)
    while not ray.wait([pending], timeout=0.5)[0]:
        if progress:
            progress(*ray.get(meter.read.remote()))
    with unwrapped_errors():
        return ray.get(pending)


@ray.remote(max_retries=3)
def fit(extractor: ResolvedExtractor, dataset: PreparedDataset, meter: Any) -> bytes:
    """Fit a network to a prepared dataset and return its weights file, telling a meter how far it is."""
    device = torch.device("cuda" if ray.get_gpu_ids() else "cpu")
    return fit_weights(extractor, dataset, device, progress=lambda done, total: meter.write.remote(done, total))


def fit_weights(
    extractor: ResolvedExtractor, dataset: PreparedDataset, device: torch.device, *, progress: Callable[[int, int], None] | None = None
) -> bytes:
    """Fit a network to a prepared dataset in this process and return its weights file."""
    card, data = dataset.card, _samples_of(dataset)
    fit = partial(fit_classifier, num_classes=len(card.classes or ())) if isinstance(extractor, ClassifierExtractor) else fit_rotation
    network, accuracy = fit(data, num_images=extractor.fit_images, seed=SEED, device=device, progress=progress)
    facts = {"kind": extractor.kind, "dataset": card.fingerprint, "seed": SEED, "images": extractor.fit_images}
    return save(network, {**facts, "accuracy": accuracy, "classes": card.classes})


class ProgressMeter:
    """An actor that holds the progress of a task: (done, total)."""

    def __init__(self) -> None:
        self.far = (0, 1)

    def write(self, done: int, total: int) -> None:
        """Take newer progress."""
        self.far = (done, total)

    def read(self) -> tuple[int, int]:
        """Return the newest progress."""
        return self.far


def _samples_of(dataset: PreparedDataset) -> Dataset:
    """Return a prepared dataset, or an even choice of its shards, in memory."""
    numbers = np.unique(np.linspace(0, len(dataset.card.shards) - 1, MAX_SHARDS).round().astype(int))
    shards = [read_shard(dataset, int(number)) for number in numbers]
    images = np.concatenate([as_pixels(torch.from_numpy(shard.samples)).numpy() for shard in shards])
    labels = np.concatenate([shard.labels for shard in shards]).astype(np.int64)

    def sample(rows: np.ndarray) -> tuple[Tensor, Tensor]:
        return torch.from_numpy(images[rows]), torch.from_numpy(labels[rows])

    return Dataset(sample, len(images), images.shape[1], mirror=dataset.card.kind != "sound")
