"""Reading: shards of a prepared dataset as arrays, and a gather of any of its rows."""

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganray.data.dataset import PreparedDataset
from ganray.data.shard import SampleType, ShardArrays, decode_shard
from ganray.errors import DataError

SampleArrays = tuple[NDArray[Any], NDArray[np.int64]]  # samples [N, *shape] as stored, and labels [N]


def read_shard(dataset: PreparedDataset, number: int) -> ShardArrays:
    """Read shard `number`, from 0, from the store. Raises `DataError` if its SHA-256 is not the one in the dataset card."""
    key, shard = dataset.shard_keys()[number], dataset.card.shards[number]
    data = dataset.storage.read(key)
    if (found := hashlib.sha256(data).hexdigest()) != shard.sha256:
        problem = f"expected a shard of SHA-256 {shard.sha256[:12]} by the dataset card, got {found[:12]}"
        raise DataError(f"{dataset.storage.uri}/{key}", problem, f"delete {dataset.folder} and prepare it again")
    return decode_shard(data, dataset.card.sample_type)


def gather(rows: NDArray[np.int64], load: Callable[[int], ShardArrays], *, rows_per_shard: int, sample_type: SampleType) -> SampleArrays:
    """Return the samples at dataset rows int64 [N], in that order; each shard is loaded once."""
    samples, labels = np.empty((len(rows), *sample_type.shape), sample_type.numbers), np.empty(len(rows), np.int64)
    numbers, inside = np.divmod(rows, rows_per_shard)
    for number in np.unique(numbers).tolist():
        wanted, shard = np.flatnonzero(numbers == number), load(number)
        samples[wanted] = shard.samples[inside[wanted]]
        labels[wanted] = shard.labels[inside[wanted]]
    return samples, labels
