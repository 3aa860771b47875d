"""Shards of a prepared dataset as arrays, and any rows of them as a batch."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ganray.data.dataset import PreparedDataset
from ganray.errors import DataError

Batch = tuple[np.ndarray, np.ndarray]  # images uint8 [N, C, H, W] and labels int64 [N]


@dataclass(frozen=True)
class ShardArrays:
    """One shard's samples: pixels uint8 [N, C, H, W] and labels int32 [N], -1 where there is none."""

    pixels: np.ndarray
    labels: np.ndarray


def read_shard(prepared: PreparedDataset, number: int) -> ShardArrays:
    """Read a shard from the store. Raises `GanrayError` if it is not the file that the dataset card describes."""
    key, shard = prepared.shard_keys()[number], prepared.card.shards[number]
    data = prepared.storage.read(key)
    if hashlib.sha256(data).hexdigest() != shard.sha256:
        raise DataError(
            f"{prepared.storage.uri}/{key}",
            "the shard's SHA-256 is not the dataset card's",
            f"delete {prepared.folder} and prepare it again",
        )
    table = pq.ParquetFile(pa.BufferReader(data)).read(columns=["image", "label"], use_threads=False)
    images = table["image"].combine_chunks()
    size = int(np.prod(prepared.card.shape))
    pixels = np.frombuffer(images.buffers()[1], np.uint8, len(images) * size, images.offset * size)
    return ShardArrays(pixels.reshape(-1, *prepared.card.shape), table["label"].to_numpy())


def gather(rows: np.ndarray, load: Callable[[int], ShardArrays], *, rows_per_shard: int, shape: tuple[int, int, int]) -> Batch:
    """Return the samples at some dataset rows, int64 [N], loading one shard at a time. `shape` is (C, H, W)."""
    images, labels = np.empty((len(rows), *shape), np.uint8), np.empty(len(rows), np.int64)
    numbers, inside = np.divmod(rows, rows_per_shard)
    for number in np.unique(numbers).tolist():
        wanted, shard = np.flatnonzero(numbers == number), load(number)
        images[wanted] = shard.pixels[inside[wanted]]
        labels[wanted] = shard.labels[inside[wanted]]
    return images, labels
