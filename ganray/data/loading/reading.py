"""Reading: shards of a prepared dataset as arrays, and a gather of any of its rows."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ganray.data.dataset import PreparedDataset
from ganray.errors import DataError

SampleArrays = tuple[NDArray[np.uint8], NDArray[np.int64]]  # images [N, C, H, W] in 0 to 255, and labels [N]


@dataclass(frozen=True)
class ShardArrays:
    """One shard's samples: pixels uint8 [N, C, H, W] and labels int32 [N], -1 where there is none. Both are read-only views."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int32]


def read_shard(dataset: PreparedDataset, number: int) -> ShardArrays:
    """Read shard `number`, from 0, from the store. Raises `DataError` if its SHA-256 is not the one in the dataset card."""
    key, shard = dataset.shard_keys()[number], dataset.card.shards[number]
    data = dataset.storage.read(key)
    if (found := hashlib.sha256(data).hexdigest()) != shard.sha256:
        problem = f"expected a shard of SHA-256 {shard.sha256[:12]} by the dataset card, got {found[:12]}"
        raise DataError(f"{dataset.storage.uri}/{key}", problem, f"delete {dataset.folder} and prepare it again")
    table = pq.ParquetFile(pa.BufferReader(data)).read(columns=["image", "label"], use_threads=False)
    return ShardArrays(pixels_of(table["image"], dataset.card.shape), table["label"].to_numpy())


def pixels_of(images: Any, shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Return a pyarrow column of fixed-size binaries without nulls as uint8 [N, C, H, W], without a copy. `shape` is (C, H, W)."""
    array = images.combine_chunks()
    size = int(np.prod(shape))
    return np.frombuffer(array.buffers()[1], np.uint8, len(array) * size, array.offset * size).reshape(len(array), *shape)


def gather(
    rows: NDArray[np.int64], load: Callable[[int], ShardArrays], *, rows_per_shard: int, shape: tuple[int, int, int]
) -> SampleArrays:
    """Return the samples at dataset rows int64 [N], in that order; each shard is loaded once. `shape` is (C, H, W)."""
    images, labels = np.empty((len(rows), *shape), np.uint8), np.empty(len(rows), np.int64)
    numbers, inside = np.divmod(rows, rows_per_shard)
    for number in np.unique(numbers).tolist():
        wanted, shard = np.flatnonzero(numbers == number), load(number)
        images[wanted] = shard.pixels[inside[wanted]]
        labels[wanted] = shard.labels[inside[wanted]]
    return images, labels
