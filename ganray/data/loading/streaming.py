"""Streaming data: shuffle windows read by Ray Data as training needs them, for what does not fit into memory.

A window is a range of samples that covers about `shuffle_window` shards and a whole number of steps. One task reads it and
puts out one row for each worker: that worker's local batches of all of the window's steps. Rows are dealt out in turn, so each
worker gets exactly its samples, and a start in the middle of a window leaves out exactly those that were seen.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import ray.data
from numpy.typing import NDArray
from ray.data import DataIterator, Dataset, ExecutionOptions, ExecutionResources, TaskPoolStrategy
from ray.train import DataConfig

from ganray.config.training import deal
from ganray.data.dataset import PreparedDataset
from ganray.data.loading.order import window_rows
from ganray.data.loading.reading import SampleArrays, gather, read_shard

MAX_CONCURRENT_READS = 2  # windows
MAX_WINDOWS_IN_STORE = 3  # bound on what Ray Data keeps in its object store


@dataclass(frozen=True)
class Stream:
    """How a run streams a dataset: `batch_size` is global, `window` in shards."""

    dataset: PreparedDataset
    seed: int
    window: int
    batch_size: int
    ghost_batch: int

    @property
    def window_size(self) -> int:
        """Samples in a window: a whole number of steps."""
        card = self.dataset.card
        return max(1, min(self.window * card.rows_per_shard, card.count) // self.batch_size) * self.batch_size


def streaming_source(stream: Stream, position: Callable[[], tuple[int, int]], *, total_images: int) -> Callable[[], Dataset]:
    """Return what Ray Train calls before each start of the workers, as one of its `datasets`: the rest of the run's stream.

    `position` returns (images seen, attempt) of the checkpoint that the workers are going to start from.
    """

    def source() -> Dataset:
        start_images, attempt = position()
        return stream_windows(stream, attempt=attempt, start_images=start_images, total_images=total_images)

    return source


class StreamingConfig(DataConfig):
    """The `dataset_config` of a stream: reads its windows for as many workers as have started, in order, and not far ahead."""

    def __init__(self, stream: Stream) -> None:
        window_bytes = stream.window_size * stream.dataset.card.sample_type.num_bytes
        limits = ExecutionResources.for_limits(object_store_memory=MAX_WINDOWS_IN_STORE * window_bytes)
        super().__init__(execution_options=ExecutionOptions(preserve_order=True, resource_limits=limits))
        self.stream = stream

    def configure(self, datasets: dict[str, Dataset], world_size: int, *arguments: Any, **settings: Any) -> list[dict[str, DataIterator]]:
        """Return the stream's iterator of each worker."""
        read = {name: read_windows(windows, self.stream, world_size) for name, windows in datasets.items()}
        return super().configure(read, world_size, *arguments, **settings)


def stream_windows(stream: Stream, *, attempt: int, start_images: int, total_images: int) -> Dataset:
    """Return the windows from `start_images`, a whole number of steps, to the one that `total_images` ends in.

    Pads to a whole window, and is never empty, because workers prefetch past the end.
    """
    borders = _windows(start_images, total_images, stream.window_size)
    windows = [{"start": start, "stop": stop, "attempt": attempt} for start, stop in borders]
    return ray.data.from_items(windows, override_num_blocks=len(windows))


def read_windows(windows: Dataset, stream: Stream, world_size: int) -> Dataset:
    """Return the samples of windows, a row for each worker in turn."""
    data = windows.map_batches(
        partial(_read_window, stream=stream, world_size=world_size),
        batch_size=None,
        batch_format="pyarrow",
        num_cpus=0,  # what Train leaves for data can be no CPU at all
        compute=TaskPoolStrategy(size=MAX_CONCURRENT_READS),
    )
    data.context.enable_progress_bars = False
    data.context.target_max_block_size = 1  # byte: so every row is a block of its own, which goes to the next worker
    return data


class Streaming:
    """One worker's local batches of a stream, in order: (samples [n, *shape], labels int64 [n]), n the local batch size."""

    def __init__(self, iterator: DataIterator, dataset: PreparedDataset, *, local_batch_size: int) -> None:
        self.iterator, self.sample_type, self.local_batch_size = iterator, dataset.card.sample_type, local_batch_size

    def __iter__(self) -> Iterator[SampleArrays]:
        whole_blocks: Any = None  # a batch a block, which Ray's annotation leaves out
        for table in self.iterator.iter_batches(batch_size=whole_blocks, batch_format="pyarrow", prefetch_batches=1):
            for data, labels in zip(_buffers(table["samples"]), _buffers(table["labels"]), strict=True):
                steps = np.frombuffer(data, self.sample_type.numbers).reshape(-1, self.local_batch_size, *self.sample_type.shape)
                for samples, classes in zip(steps, np.frombuffer(labels, np.int64).reshape(-1, self.local_batch_size), strict=True):
                    yield samples.copy(), classes.copy()


def _windows(start: int, total: int, size: int) -> Iterator[tuple[int, int]]:
    """Cut samples `start` to `total`, at least one window, on a grid from sample 0: yields (first sample, sample after the last)."""
    first_end = (start // size + 1) * size
    last_end = max(first_end, -(-total // size) * size)
    return pairwise([start, *range(first_end, last_end + 1, size)])


def _read_window(batch: pa.Table, stream: Stream, world_size: int) -> Iterator[pa.Table]:
    """Read what is left of a window, and yield a row for each worker: its local batches of all steps."""
    card, size = stream.dataset.card, stream.window_size
    start, stop, attempt = (batch[name][0].as_py() for name in ("start", "stop", "attempt"))
    rows = window_rows(stop - size, stop, count=card.count, rows_per_shard=card.rows_per_shard, seed=stream.seed, attempt=attempt)
    read = partial(read_shard, stream.dataset)
    samples, labels = gather(rows[start - stop :], read, rows_per_shard=card.rows_per_shard, sample_type=card.sample_type)
    steps = (-1, stream.batch_size)
    for share in deal(stream.batch_size, world_size, ghost_batch=stream.ghost_batch):
        local = slice(share.start, share.start + share.size)
        yield pa.table(
            {
                "samples": _binary(samples.reshape(*steps, *card.shape)[:, local]),
                "labels": _binary(labels.reshape(steps)[:, local]),
            }
        )


def _binary(array: NDArray[Any]) -> pa.Array:
    """An array's bytes as a column of one row."""
    data = array.tobytes()
    return pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), 1, [None, pa.array([0, len(data)], pa.int64()).buffers()[1], pa.py_buffer(data)]
    )


def _buffers(column: pa.ChunkedArray) -> Iterator[pa.Buffer]:
    """A binary column's values, without a copy."""
    return (value.as_buffer() for value in column)
