"""The shard format: a zstd Parquet file with one row group of fixed-size binary images (CHW, uint8) and int32 labels.

A fixed-size binary column reads at memory speed; list and tensor columns of uint8 take 4 bytes a value and read 17 times slower.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

MAX_SHARD_BYTES = 16 * 2**20  # of pixels
MAX_SHARD_ROWS = 16_384
PREFIX, SUFFIX = "shard-", ".parquet"

Shape = tuple[int, int, int]  # (channels, height, width) of a sample


@dataclass(frozen=True)
class ShardArrays:
    """One shard's samples: pixels uint8 [N, C, H, W] and labels int32 [N], -1 where there is none. Pixels are read-only."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int32]


def rows_per_shard(shape: Shape) -> int:
    """Return the rows in every shard but the last: up to 16 MB of pixels, and no more than 16,384."""
    return max(1, min(MAX_SHARD_ROWS, MAX_SHARD_BYTES // int(np.prod(shape))))


def shard_file(number: int) -> str:
    """Return the file name of shard `number`, from 0."""
    return f"{PREFIX}{number:05d}{SUFFIX}"


def is_shard_file(name: str) -> bool:
    """Return whether a file name is a shard's."""
    return name.startswith(PREFIX) and name.endswith(SUFFIX)


def encode_shard(table: pa.Table) -> bytes:
    """Return a table of `image` and `label` as a shard's bytes; the same rows give the same bytes with one version of pyarrow."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", use_dictionary=["label"], row_group_size=table.num_rows, write_statistics=False)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def decode_shard(data: bytes, shape: Shape) -> ShardArrays:
    """Return the samples in a shard's bytes."""
    return shard_arrays(pq.ParquetFile(pa.BufferReader(data)).read(columns=["image", "label"], use_threads=False), shape)


def digests(pixels: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Return a 64-bit hash of each sample's pixels, [N]: equal samples have equal ones."""
    rows = np.ascontiguousarray(pixels.reshape(len(pixels), -1))
    return np.frombuffer(b"".join(hashlib.blake2b(row, digest_size=8).digest() for row in rows), np.dtype("<u8"))


def shard_arrays(table: pa.Table, shape: Shape) -> ShardArrays:
    """Return a table of `image` and `label`, both without nulls, as arrays; the pixels without a copy."""
    images: Any = table["image"].combine_chunks()
    size = int(np.prod(shape))
    pixels = np.frombuffer(images.buffers()[1], np.uint8, len(images) * size, images.offset * size)
    return ShardArrays(pixels.reshape(len(images), *shape), table["label"].to_numpy())
