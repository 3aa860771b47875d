"""Epoch shuffles: the order in which a run sees a dataset's rows, a function of seed, attempt and global sample index only.

Sample i is the i-th real sample that the run sees, over all workers: it belongs to epoch i // count and is number i % count in it.
So `images_seen` is the whole position that a checkpoint saves. Permutations sort the raw words of a counter-based Philox
generator (Salmon et al. 2011) rather than call numpy's shuffle, whose stream numpy may change from one version to the next.
"""

import hashlib
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


def rows(start: int, number: int, *, count: int, seed: int, attempt: int = 0) -> NDArray[np.int64]:
    """Return the dataset rows, int64 [number], of samples `start` to `start + number - 1`, each epoch shuffled as a whole."""
    parts = [
        permutation(count, seed, epoch, attempt)[first - epoch * count : last - epoch * count]
        for epoch, first, last in _epochs(start, start + number, count)
    ]
    return np.concatenate(parts)


def window_rows(start: int, stop: int, *, count: int, rows_per_shard: int, seed: int, attempt: int = 0) -> NDArray[np.int64]:
    """Return the dataset rows, int64 [stop - start], of one shuffle window: samples `start` to `stop - 1`.

    An epoch's shards are put in random order, and the rows that fall into the window are shuffled in it, so only the shards
    that the window touches need to be read for it. A window that two epochs share shuffles each one's part by itself.
    """
    parts = []
    for epoch, first, last in _epochs(start, stop, count):
        positions = np.arange(first, last) - epoch * count
        shard_order = _shuffled(-(-count // rows_per_shard), f"{seed}/shards/{attempt}/{epoch}")
        in_file_order = _rows_by_shard(positions, shard_order, count, rows_per_shard)
        parts.append(in_file_order[_shuffled(last - first, f"{seed}/window/{attempt}/{first}")])
    return np.concatenate(parts)


@lru_cache(maxsize=2)  # a step may span two epochs
def permutation(count: int, seed: int, epoch: int, attempt: int = 0) -> NDArray[np.int64]:
    """Return an epoch's permutation of the rows, int64 [count], read-only."""
    order = _shuffled(count, f"{seed}/order/{attempt}/{epoch}")
    order.flags.writeable = False
    return order


def _shuffled(number: int, key: str) -> NDArray[np.int64]:
    """Return the permutation of 0 to number - 1, int64, that a key seeds."""
    philox = np.random.Philox(key=np.frombuffer(hashlib.sha256(key.encode()).digest()[:16], dtype=np.uint64))
    return np.argsort(philox.random_raw(number), kind="stable")


def _epochs(start: int, stop: int, count: int) -> Iterator[tuple[int, int, int]]:
    """Cut samples `start` to `stop - 1` at the epochs' borders: yields (epoch, first sample, sample after the last)."""
    while start < stop:
        epoch = start // count
        last = min(stop, (epoch + 1) * count)
        yield epoch, start, last
        start = last


def _rows_by_shard(positions: NDArray[np.int64], shard_order: NDArray[np.int64], count: int, rows_per_shard: int) -> NDArray[np.int64]:
    """Return the rows at some positions, int64 [N], of the shards concatenated in an order. Only the last shard may be shorter."""
    first_rows = shard_order * rows_per_shard
    sizes = np.minimum(rows_per_shard, count - first_rows)
    ends = np.cumsum(sizes)
    place = np.searchsorted(ends, positions, side="right")
    chosen: NDArray[np.int64] = first_rows[place] + positions - (ends - sizes)[place]
    return chosen
