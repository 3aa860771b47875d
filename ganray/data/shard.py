"""The shard format: a zstd Parquet file with one row group of fixed-size binary samples and int32 labels.

A fixed-size binary column reads at memory speed; list and tensor columns of uint8 take 4 bytes a value and read 17 times slower.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

MAX_SHARD_BYTES = 16 * 2**20  # of samples
MAX_SHARD_ROWS = 16_384
PREFIX, SUFFIX = "shard-", ".parquet"

SAMPLE, LABEL = "image", "label"  # columns; samples of every kind are in the first, which is named after the first kind there was


@dataclass(frozen=True)
class SampleType:
    """The shape of a sample, of any rank, and NumPy's name of the type of its numbers."""

    shape: tuple[int, ...]
    dtype: str = "uint8"

    @property
    def num_bytes(self) -> int:
        """Bytes of a sample."""
        return int(np.prod(self.shape)) * self.numbers.itemsize

    @property
    def numbers(self) -> np.dtype[Any]:
        """The type of a sample's numbers, little-endian in shards whatever the machine."""
        return np.dtype(self.dtype).newbyteorder("<")


@dataclass(frozen=True)
class ShardArrays:
    """One shard's samples [N, *shape] of their type, read-only, and labels int32 [N], -1 where there is none."""

    samples: NDArray[Any]
    labels: NDArray[np.int32]


def rows_per_shard(sample_type: SampleType) -> int:
    """Return the rows in every shard but the last: up to 16 MB of samples, and no more than 16,384."""
    return max(1, min(MAX_SHARD_ROWS, MAX_SHARD_BYTES // sample_type.num_bytes))


def shard_file(number: int) -> str:
    """Return the file name of shard `number`, from 0."""
    return f"{PREFIX}{number:05d}{SUFFIX}"


def is_shard_file(name: str) -> bool:
    """Return whether a file name is a shard's."""
    return name.startswith(PREFIX) and name.endswith(SUFFIX)


def encode_shard(table: pa.Table) -> bytes:
    """Return a table of samples and labels as a shard's bytes; the same rows give the same bytes with one version of pyarrow."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", use_dictionary=[LABEL], row_group_size=table.num_rows, write_statistics=False)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def decode_shard(data: bytes, sample_type: SampleType) -> ShardArrays:
    """Return the samples in a shard's bytes."""
    return shard_arrays(pq.ParquetFile(pa.BufferReader(data)).read(columns=[SAMPLE, LABEL], use_threads=False), sample_type)


def digests(samples: NDArray[Any]) -> NDArray[np.uint64]:
    """Return a 64-bit hash of each sample's bytes, [N]: equal samples have equal ones."""
    rows = np.ascontiguousarray(samples.reshape(len(samples), -1))
    return np.frombuffer(b"".join(hashlib.blake2b(row, digest_size=8).digest() for row in rows), np.dtype("<u8"))


def shard_arrays(table: pa.Table, sample_type: SampleType) -> ShardArrays:
    """Return a table of samples and labels, both without nulls, as arrays; the samples without a copy."""
    column: Any = table[SAMPLE].combine_chunks()
    size = int(np.prod(sample_type.shape))
    samples = np.frombuffer(column.buffers()[1], sample_type.numbers, len(column) * size, column.offset * sample_type.num_bytes)
    return ShardArrays(samples.reshape(len(column), *sample_type.shape), table[LABEL].to_numpy())
