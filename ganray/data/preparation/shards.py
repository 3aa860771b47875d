"""Raw rows to shards: decoding in Ray Data, cutting at exact row counts, and writing in Ray tasks."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import ray
import ray.data

from ganray.data.card import SkippedSample
from ganray.data.sources.rows import Rows
from ganray.modalities.image import UnreadableImage, decode, resize
from ganray.storage import ObjectStore

SHARD_BYTES = 16 * 2**20  # pixels
MAX_SHARD_ROWS = 16_384
MAX_WRITES = 16  # shards being written at once, a bound on the memory that they take
NUM_EXAMPLES = 100  # skipped samples that are named in the card
DECODE_ROWS = 8  # a batch's encoded pictures are in memory together

Block = TypeVar("Block")


@dataclass(frozen=True)
class Writing:
    """Where shards go and what a sample in them is."""

    storage: ObjectStore
    folder: str
    shape: tuple[int, int, int]  # (channels, height, width)
    num_classes: int


@dataclass(frozen=True)
class WrittenShard:
    """What is known about a shard once it lies in the store. `content` hashes pixels and labels, `sha256` the file."""

    file: str
    rows: int
    sha256: str
    content: str
    channel_sums: np.ndarray  # int64 [C]
    class_counts: np.ndarray  # int64 [num_classes]


@dataclass
class Tally:
    """What has been decoded so far, counted in the source's order."""

    seen: int = 0
    skipped: int = 0
    examples: list[SkippedSample] = field(default_factory=list)


def rows_per_shard(shape: tuple[int, int, int]) -> int:
    """Rows in every shard but the last: up to 16 MB of pixels, and no more than 16,384."""
    return max(1, min(MAX_SHARD_ROWS, SHARD_BYTES // int(np.prod(shape))))


def shard_file(number: int) -> str:
    """A shard's file name."""
    return f"shard-{number:05d}.parquet"


def decode_rows(rows: Rows, shape: tuple[int, int, int], filter: str) -> ray.data.Dataset:
    """Decode to `image` (fixed-size binary, CHW uint8; null if unreadable), `label`, and for unreadable ones `name` and `reason`."""
    options = {"shape": shape, "filter": filter, "raw_shape": rows.raw_shape}
    size = DECODE_ROWS if rows.raw_shape is None else 512
    return rows.dataset.map_batches(_decode_batch, batch_size=size, batch_format="pyarrow", fn_kwargs=options)


def write_shards(decoded: ray.data.Dataset, tally: Tally, writing: Writing, check: Callable[[Tally], None]) -> list[WrittenShard]:
    """Write the readable rows, in order, as shards of `rows_per_shard` rows; the last may be shorter.

    Blocks never pass through this process. `check` is called whenever a block is decoded and `tally` has grown; it may raise.
    """
    running: list[ray.ObjectRef] = []
    written: list[ray.ObjectRef] = []
    for number, parts in enumerate(cut_shards(_inspect(decoded, tally, check), rows_per_shard(writing.shape))):
        if len(running) == MAX_WRITES:
            running = ray.wait(running, num_returns=1)[1]
        blocks, bounds = [block for block, _, _ in parts], [(start, stop) for _, start, stop in parts]
        running.append(_write_shard.remote(writing, shard_file(number), bounds, *blocks))
        written.append(running[-1])
    return ray.get(written)


def cut_shards(blocks: Iterable[tuple[Block, int]], num_rows: int) -> Iterator[list[tuple[Block, int, int]]]:
    """Cut a stream of (block, rows) at every `num_rows` rows: yields each shard as parts (block, first row, row after the last)."""
    parts, room = [], num_rows
    for block, rows in blocks:
        start = 0
        while start < rows:
            stop = min(rows, start + room)
            parts.append((block, start, stop))
            room -= stop - start
            start = stop
            if room == 0:
                yield parts
                parts, room = [], num_rows
    if parts:
        yield parts


def fingerprint(shape: tuple[int, int, int], contents: list[str]) -> str:
    """SHA-256 over the shape and the shards' content hashes, in order: the same however Parquet encodes them."""
    return hashlib.sha256("\n".join(["ganray dataset", repr(tuple(shape)), *contents]).encode()).hexdigest()


def _inspect(decoded: ray.data.Dataset, tally: Tally, check: Callable[[Tally], None]) -> Iterator[tuple[ray.ObjectRef, int]]:
    """Yield every block with its readable rows as they are decoded, in order, and count the others."""
    for bundle in decoded.iter_internal_ref_bundles():
        for block in bundle.block_refs:
            rows, skipped, examples = ray.get(_inspect_block.remote(block))
            tally.seen += rows + skipped
            tally.skipped += skipped
            tally.examples += [SkippedSample(**example) for example in examples[: NUM_EXAMPLES - len(tally.examples)]]
            check(tally)
            yield block, rows


@ray.remote(num_cpus=0, scheduling_strategy="SPREAD")
def _inspect_block(block: pa.Table) -> tuple[int, int, list[dict[str, str]]]:
    """Count a block's readable and unreadable rows, and name the first of the latter."""
    skipped = block.select(["name", "reason"]).filter(pc.is_null(block["image"]))
    return block.num_rows - skipped.num_rows, skipped.num_rows, skipped.slice(0, NUM_EXAMPLES).to_pylist()


@ray.remote(num_cpus=1, scheduling_strategy="SPREAD")
def _write_shard(writing: Writing, file: str, bounds: list[tuple[int, int]], *blocks: pa.Table) -> WrittenShard:
    """Write the given ranges of blocks' readable rows as one shard."""
    parts = [
        block.select(["image", "label"]).filter(pc.is_valid(block["image"])).slice(start, stop - start)
        for block, (start, stop) in zip(blocks, bounds, strict=True)
    ]
    table = pa.concat_tables(parts).combine_chunks()
    data = _to_parquet(table)
    writing.storage.write(f"{writing.folder}/{file}", data)
    pixels, labels = _pixels(table["image"], writing.shape), table["label"].to_numpy()
    return WrittenShard(
        file=file,
        rows=table.num_rows,
        sha256=hashlib.sha256(data).hexdigest(),
        content=hashlib.sha256(pixels.tobytes() + labels.astype("<i4").tobytes()).hexdigest(),
        channel_sums=pixels.sum(axis=(0, 2, 3), dtype=np.int64),
        class_counts=np.bincount(labels[labels >= 0], minlength=writing.num_classes),
    )


def _to_parquet(table: pa.Table) -> bytes:
    """A table as zstd Parquet with one row group."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", use_dictionary=["label"], row_group_size=table.num_rows, write_statistics=False)
    return sink.getvalue().to_pybytes()


def _pixels(images: pa.ChunkedArray, shape: tuple[int, int, int]) -> np.ndarray:
    """A fixed-size binary column without nulls as uint8 [N, C, H, W], without a copy."""
    array = images.combine_chunks()
    size = int(np.prod(shape))
    return np.frombuffer(array.buffers()[1], np.uint8, len(array) * size, array.offset * size).reshape(len(array), *shape)


def _decode_batch(batch: pa.Table, shape: tuple[int, int, int], filter: str, raw_shape: tuple[int, int, int] | None) -> pa.Table:
    decoded = [_decode_sample(data, shape, filter, raw_shape) for data in batch["data"].to_pylist()]
    images = [image for image, _ in decoded]
    names = [None if reason is None else name for name, (_, reason) in zip(batch["name"].to_pylist(), decoded, strict=True)]
    columns = {
        "image": pa.array(images, pa.binary(int(np.prod(shape)))),
        "label": batch["label"],
        "name": pa.array(names, pa.string()),
        "reason": pa.array([reason for _, reason in decoded], pa.string()),
    }
    return pa.table(columns)


def _decode_sample(
    data: bytes | None, shape: tuple[int, int, int], filter: str, raw_shape: tuple[int, int, int] | None
) -> tuple[bytes | None, str | None]:
    """A sample's pixels, or the reason why there are none."""
    if data is None:
        return None, "there is nothing to read"
    if raw_shape is None:
        try:
            return decode(data, shape, filter).tobytes(), None
        except UnreadableImage as error:
            return None, str(error)
    if len(data) != np.prod(raw_shape):
        return None, f"has {len(data)} bytes instead of {np.prod(raw_shape)}"
    return resize(np.frombuffer(data, np.uint8).reshape(raw_shape), shape, filter).tobytes(), None
