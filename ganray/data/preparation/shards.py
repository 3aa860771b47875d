"""Raw rows to shards: decoding in Ray Data, cutting at exact row counts, and writing in Ray tasks, each shard once."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import ray
import ray.data
from numpy.typing import NDArray

from ganray.cluster.errors import first_done, results_of
from ganray.data.card import SkippedSample
from ganray.data.shard import LABEL, SAMPLE, SampleType, digests, encode_shard, rows_per_shard, shard_arrays, shard_file
from ganray.data.sources.rows import Rows
from ganray.modalities.codec import Codec, sample_bytes
from ganray.storage import ObjectStore

WRITING = "writing shards"
MAX_CONCURRENT_WRITES = 16  # shards, a bound on the memory that they take
MAX_WAIT_S = 60.0  # for the writes under way when another one failed
MAX_EXAMPLES = 100  # skipped samples that are named in the card
ENCODE_ROWS = 8  # a batch's files are in memory together
SMALL_ROWS = 512  # of raw samples that are no files

Block = TypeVar("Block")


@dataclass(frozen=True)
class ShardTarget:
    """Where shards are written, and what a sample in them is."""

    storage: ObjectStore
    folder: str
    sample_type: SampleType
    num_classes: int


@dataclass(frozen=True)
class WrittenShard:
    """What is known of a shard in the store: the SHA-256 of its file, and of its samples and labels as `content`.

    `digests` are hashes of its samples.
    """

    file: str
    rows: int
    sha256: str
    content: str
    class_counts: NDArray[np.int64]  # [num_classes]
    digests: NDArray[np.uint64]  # [rows]


@dataclass
class DecodeCounts:
    """Counts of what has been decoded so far, in the source's order, and the first samples that could not be."""

    seen: int = 0
    skipped: int = 0
    peak: int | None = None  # the highest value of images with more than 8 bits
    examples: list[SkippedSample] = field(default_factory=list)
    skipped_labels: Counter[int] = field(default_factory=Counter)  # samples that could not be decoded, by class

    def add(self, other: "DecodeCounts") -> None:
        """Count what comes after this."""
        self.seen += other.seen
        self.skipped += other.skipped
        self.peak = max((value for value in (self.peak, other.peak) if value is not None), default=None)
        self.examples += other.examples[: MAX_EXAMPLES - len(self.examples)]
        self.skipped_labels += other.skipped_labels

    @classmethod
    def of(cls, block: pa.Table) -> Self:
        """Count what is in a block as `encode_rows` makes it."""
        skipped = block.select([LABEL, "name", "reason"]).filter(pc.is_null(block[SAMPLE]))
        examples = [SkippedSample(**example) for example in skipped.slice(0, MAX_EXAMPLES).drop_columns([LABEL]).to_pylist()]
        labels = Counter(skipped[LABEL].to_pylist())
        return cls(block.num_rows, skipped.num_rows, pc.max(block["peak"]).as_py(), examples, labels)


def encode_rows(rows: Rows, codec: Codec) -> ray.data.Dataset:
    """Encode to samples (fixed-size binary; null if unreadable), `label`, and for unreadable ones `name` and `reason`.

    `peak` is the highest value of an image with more than 8 bits, null for others.
    """
    batch_size = ENCODE_ROWS if rows.are_files else SMALL_ROWS
    return rows.dataset.map_batches(partial(_encode_batch, codec=codec), batch_size=batch_size, batch_format="pyarrow")


def write_shards(encoded: ray.data.Dataset, target: ShardTarget, count: Callable[[DecodeCounts], None]) -> list[WrittenShard]:
    """Write the readable rows, in order, as shards of `rows_per_shard` rows; the last may be shorter.

    Blocks never pass through this process. `count` takes what is in each block when it is encoded; it may raise.
    If anything raises, the writes under way are awaited first, so that what they wrote can be removed.
    """
    running: list[ray.ObjectRef[WrittenShard]] = []
    written: list[ray.ObjectRef[WrittenShard]] = []
    try:
        for number, parts in enumerate(cut_shards(_inspect(encoded, count), rows_per_shard(target.sample_type))):
            if len(running) == MAX_CONCURRENT_WRITES:
                running = first_done(running, WRITING)
            blocks, bounds = [block for block, _, _ in parts], [(start, stop) for _, start, stop in parts]
            running.append(_write_shard.remote(target, shard_file(number), bounds, *blocks))
            written.append(running[-1])
        return results_of(written, WRITING)
    except BaseException:
        if running:  # not cancelled: Ray 2.60 aborts the driver if a task ends while it is being cancelled
            ray.wait(running, num_returns=len(running), timeout=MAX_WAIT_S)
        raise


def cut_shards(blocks: Iterable[tuple[Block, int]], num_rows: int) -> Iterator[list[tuple[Block, int, int]]]:
    """Cut a stream of (block, rows) at every `num_rows` rows: yields each shard as parts (block, first row, row after the last)."""
    parts: list[tuple[Block, int, int]] = []
    missing = num_rows
    for block, rows in blocks:
        start = 0
        while start < rows:
            stop = min(rows, start + missing)
            parts.append((block, start, stop))
            missing -= stop - start
            start = stop
            if missing == 0:
                yield parts
                parts, missing = [], num_rows
    if parts:
        yield parts


def _inspect(encoded: ray.data.Dataset, count: Callable[[DecodeCounts], None]) -> Iterator[tuple[ray.ObjectRef[pa.Table], int]]:
    """Yield every block with the number of its readable rows as they are decoded, in order, and have what is in it counted."""
    for bundle in encoded.iter_internal_ref_bundles():
        for block in bundle.block_refs:
            (found,) = results_of([_inspect_block.remote(block)], "looking at decoded samples")
            count(found)
            yield block, found.seen - found.skipped


@ray.remote(num_cpus=0, scheduling_strategy="SPREAD")
def _inspect_block(block: pa.Table) -> DecodeCounts:
    return DecodeCounts.of(block)


@ray.remote(num_cpus=1, scheduling_strategy="SPREAD")
def _write_shard(target: ShardTarget, file: str, bounds: list[tuple[int, int]], *blocks: pa.Table) -> WrittenShard:
    """Write the given ranges of blocks' readable rows as one shard."""
    parts = [
        block.select([SAMPLE, LABEL]).filter(pc.is_valid(block[SAMPLE])).slice(start, stop - start)
        for block, (start, stop) in zip(blocks, bounds, strict=True)
    ]
    table = pa.concat_tables(parts).combine_chunks()
    data, arrays = encode_shard(table), shard_arrays(table, target.sample_type)
    target.storage.write(f"{target.folder}/{file}", data)
    return WrittenShard(
        file=file,
        rows=table.num_rows,
        sha256=hashlib.sha256(data).hexdigest(),
        content=hashlib.sha256(arrays.samples.tobytes() + arrays.labels.astype("<i4").tobytes()).hexdigest(),
        class_counts=np.bincount(arrays.labels[arrays.labels >= 0], minlength=target.num_classes),
        digests=digests(arrays.samples),
    )


def _encode_batch(batch: pa.Table, codec: Codec) -> pa.Table:
    encoded = codec.encode_batch(batch["data"].combine_chunks())
    reasons = [known or found for known, found in zip(batch["reason"].to_pylist(), encoded.reasons, strict=True)]
    samples = [None if reason else sample for sample, reason in zip(encoded.samples, reasons, strict=True)]
    names = [name if reason else None for name, reason in zip(batch["name"].to_pylist(), reasons, strict=True)]
    columns: dict[str, Any] = {
        SAMPLE: pa.array(samples, pa.binary(sample_bytes(codec))),
        LABEL: batch["label"],
        "name": pa.array(names, pa.string()),
        "reason": pa.array(reasons, pa.string()),
        "peak": pa.array(encoded.peaks, pa.int32()),
    }
    return pa.table(columns)
