"""Small prepared datasets whose pixels tell which row they are."""

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ganray.data.card import DatasetCard, Shard, Skipped
from ganray.data.dataset import PreparedDataset
from ganray.storage import ObjectStore

FOLDER = "datasets/numbered"


def write_numbered(storage: ObjectStore, *, count: int, rows_per_shard: int, shape: tuple[int, int, int] = (1, 2, 2)) -> PreparedDataset:
    """Write a dataset in which row i's first four bytes, and its label, are the number i."""
    pixels = np.zeros((count, int(np.prod(shape))), np.uint8)
    pixels[:, :4] = np.arange(count, dtype="<u4").view(np.uint8).reshape(count, 4)
    shards = [_write_shard(storage, pixels, start, min(count, start + rows_per_shard)) for start in range(0, count, rows_per_shard)]
    return PreparedDataset(storage, FOLDER, _card(count, rows_per_shard, shape, shards))


def numbers(images: np.ndarray) -> list[int]:
    """Return which rows some images of such a dataset are."""
    return np.ascontiguousarray(images.reshape(len(images), -1)[:, :4]).view("<u4")[:, 0].tolist()


def _write_shard(storage: ObjectStore, pixels: np.ndarray, start: int, stop: int) -> Shard:
    images = pa.array([row.tobytes() for row in pixels[start:stop]], pa.binary(pixels.shape[1]))
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"image": images, "label": pa.array(range(start, stop), pa.int32())}), sink, compression="zstd")
    data, file = sink.getvalue().to_pybytes(), f"shard-{start:07d}.parquet"
    storage.write(f"{FOLDER}/{file}", data)
    return Shard(file=file, rows=stop - start, sha256=hashlib.sha256(data).hexdigest())


def _card(count: int, rows_per_shard: int, shape: tuple[int, int, int], shards: list[Shard]) -> DatasetCard:
    channels, height, width = shape
    return DatasetCard(
        name="numbered",
        key="",
        fingerprint="",
        count=count,
        channels=channels,
        height=height,
        width=width,
        classes=None,
        class_counts=None,
        filter="lanczos",
        source={},
        rows_per_shard=rows_per_shard,
        shards=shards,
        skipped=Skipped(),
        licence=None,
        created_by={},
    )
