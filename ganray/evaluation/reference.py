"""Reference statistics of a dataset: moments of the reals' features, and some of the features themselves.

Measured once for each extractor and number of samples, in Ray tasks, and kept beside the dataset.
"""

import hashlib
import json
from collections import deque
from collections.abc import Callable

import numpy as np
import ray
import safetensors.torch
import torch
from torch import Tensor

from ganray.cluster.errors import results_of
from ganray.config import Job
from ganray.data.dataset import PreparedDataset
from ganray.data.loading.reading import read_shard
from ganray.data.shard import digests
from ganray.evaluation.extractor import FittedExtractor
from ganray.evaluation.score import Reference
from ganray.metrics.feature_extractor import FeatureNetwork, load_extractor
from ganray.metrics.frechet import Moments

Part = tuple[np.ndarray, np.ndarray | None]  # features, and hashes where the dataset has repeats

MAX_REALS = 100_000  # whose moments count, spread evenly over the dataset
CHUNK = 256  # samples that pass the extractor together


def ensure_reference(dataset: PreparedDataset, extractor: FittedExtractor, num_samples: int, measure: Callable[[], Reference]) -> str:
    """Return the key of the reference statistics in the dataset's store, where `measure` has made them if nobody had."""
    key = find_reference(dataset, extractor, num_samples)
    if key is None:
        key = _key(dataset, extractor, num_samples)
        dataset.storage.write(key, save_reference(measure()))
    return key


def find_reference(dataset: PreparedDataset, extractor: FittedExtractor, num_samples: int) -> str | None:
    """Return the key of the reference statistics in the dataset's store, None if nobody has measured them."""
    key = _key(dataset, extractor, num_samples)
    return key if dataset.storage.list(key) else None


def load_reference(dataset: PreparedDataset, key: str) -> Reference:
    """Return reference statistics from the dataset's store."""
    tensors = safetensors.torch.load(dataset.storage.read(key))
    moments = Moments(int(tensors["count"]), tensors["mean"], tensors["covariance"])
    return Reference(moments, tensors["features"], tensors.get("distinct"))


def measure_on_cluster(
    job: Job, dataset: PreparedDataset, extractor: FittedExtractor, *, progress: Callable[[int, int], None] | None = None
) -> Reference:
    """Return the statistics of a dataset, a Ray task a shard, on GPUs where the job uses them."""
    options = {"num_cpus": 1, "num_gpus": job.resources.gpus_per_worker if job.use_gpu is True else 0}
    weights = ray.put(extractor.weights)
    running: deque[ray.ObjectRef[Part]] = deque()
    parts: list[Part] = []
    for number, rows in _rows_by_shard(dataset):
        running.append(shard_features.options(**options).remote(weights, dataset, number, rows))
        if len(running) > job.max_workers:  # no more at once than training will need, or a cluster would grow for it
            parts.append(_collect(running.popleft()))
        if progress:
            progress(len(parts), len(dataset.card.shards))
    parts += [_collect(task) for task in running]
    return _join(parts, dataset, num_samples=job.evaluate.num_samples)


def measure_here(
    dataset: PreparedDataset,
    extractor: FittedExtractor,
    device: torch.device,
    *,
    num_samples: int,
    progress: Callable[[int, int], None] | None = None,
) -> Reference:
    """Return the statistics of a dataset, measured in this process."""
    network, parts = extractor.network().to(device), list[Part]()
    for number, rows in _rows_by_shard(dataset):
        parts.append(_part(network, dataset, number, rows))
        if progress:
            progress(len(parts), len(dataset.card.shards))
    return _join(parts, dataset, num_samples=num_samples)


def _rows_by_shard(dataset: PreparedDataset) -> list[tuple[int, np.ndarray]]:
    """Return the rows whose moments count as (number of a shard, rows in the dataset)."""
    rows = spread(dataset.card.count, MAX_REALS)
    numbers = rows // dataset.card.rows_per_shard
    return [(int(number), rows[numbers == number]) for number in np.unique(numbers)]


def _join(parts: list[Part], dataset: PreparedDataset, *, num_samples: int) -> Reference:
    features = torch.from_numpy(np.concatenate([own for own, _ in parts]))
    hashes = [own for _, own in parts if own is not None]
    return summarise(features, np.concatenate(hashes) if hashes else None, num_samples=num_samples)


def summarise(features: Tensor, hashes: np.ndarray | None, *, num_samples: int) -> Reference:
    """Return the statistics of reals' features [N, D], keeping at most `num_samples` of them.

    `hashes` [N] tell equal reals, if there are any, whose first ones are then kept beside.
    """
    kept = spread(len(features), num_samples)
    if hashes is None:
        return Reference(Moments.of(features), features[kept])
    firsts = np.sort(np.unique(hashes, return_index=True)[1])
    return Reference(Moments.of(features), features[kept], features[firsts[spread(len(firsts), num_samples)]])


def save_reference(reference: Reference) -> bytes:
    """Return statistics as a safetensors file's bytes."""
    moments, distinct = reference.moments, {} if reference.distinct is None else {"distinct": reference.distinct}
    tensors = {"mean": moments.mean, "covariance": moments.covariance, "features": reference.features, **distinct}
    return safetensors.torch.save({"count": torch.tensor(moments.count), **{name: part.contiguous() for name, part in tensors.items()}})


def _collect(task: "ray.ObjectRef[Part]") -> Part:
    (part,) = results_of([task], "measuring the data")
    return part


@ray.remote(max_retries=3)
def shard_features(weights: bytes, dataset: PreparedDataset, number: int, rows: np.ndarray) -> Part:
    """Return the features float32 [n, D] of some rows of a shard, by their place in the dataset, and their hashes, [n]."""
    torch.set_num_threads(1)
    return _part(load_extractor(weights).to("cuda" if ray.get_gpu_ids() else "cpu"), dataset, number, rows)


def _part(network: FeatureNetwork, dataset: PreparedDataset, number: int, rows: np.ndarray) -> Part:
    samples = read_shard(dataset, number).samples[rows % dataset.card.rows_per_shard]
    return features_of(network, torch.from_numpy(samples)).numpy(), digests(samples) if dataset.card.duplicates else None


@torch.no_grad()
def features_of(network: FeatureNetwork, pixels: Tensor) -> Tensor:
    """Return the features [N, D] of uint8 samples [N, C, H, W], on the CPU."""
    return torch.cat([network.features(chunk).cpu() for chunk in pixels.split(CHUNK)])


def spread(count: int, most: int) -> np.ndarray:
    """Return `most` of the numbers below `count`, evenly spread, or all if there are fewer."""
    return np.arange(count) if count <= most else np.linspace(0, count - 1, most).round().astype(np.int64)


def _key(dataset: PreparedDataset, extractor: FittedExtractor, num_samples: int) -> str:
    settings = json.dumps([dataset.card.fingerprint, extractor.hash, MAX_REALS, num_samples, *["distinct"] * bool(dataset.card.duplicates)])
    return f"{dataset.folder}/statistics/{hashlib.sha256(settings.encode()).hexdigest()[:16]}.safetensors"
