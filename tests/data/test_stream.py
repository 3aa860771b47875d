"""Resident and streaming data on real Ray: who gets which rows, after a death too, and how far ahead windows are read.

The cluster has two CPUs and training takes both, so that streaming has to do without one.
"""

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray.train
from ray.train import FailureConfig, RunConfig, ScalingConfig

from ganray.config.training import deal
from ganray.data.dataset import PreparedDataset
from ganray.data.loading.order import rows
from ganray.data.loading.resident import Resident, load_resident
from ganray.data.loading.streaming import Stream, Streaming, StreamingConfig, stream_windows, streaming_source
from ganray.errors import GanrayError
from ganray.storage import ObjectStore, open_store
from ganray.train.controller.policies import Trainer
from tests.helpers.shards import numbers, write_numbered

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("ray_address")]

COUNT, ROWS_PER_SHARD, BATCH_SIZE, WORKERS = 1000, 96, 16, 2
TOTAL = 2 * COUNT


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    store = tmp_path_factory.mktemp("store")
    return write_numbered(open_store(store), count=COUNT, rows_per_shard=ROWS_PER_SHARD)


@pytest.fixture(scope="module")
def unbroken(prepared: PreparedDataset, tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    """The samples of two epochs in global order, as two workers streamed them."""
    folder = tmp_path_factory.mktemp("unbroken")
    train(stream_all, {"prepared": prepared, "folder": folder}, folder, stream=stream_of(prepared))
    return in_global_order(folder)


def stream_of(prepared: PreparedDataset) -> Stream:
    return Stream(prepared, seed=5, window=2, batch_size=BATCH_SIZE, ghost_batch=1)


def train(
    loop: Callable[[dict[str, Any]], None], config: dict[str, Any], folder: Path, *, stream: Stream | None = None, max_failures: int = 0
) -> None:
    """Run a loop on two workers that take all CPUs, with a stream from the position that `folder` tells."""
    source = stream and streaming_source(stream, lambda: (read_position(folder), 0), total_images=TOTAL)
    Trainer(
        loop,
        train_loop_config=config,
        scaling_config=ScalingConfig(num_workers=WORKERS, resources_per_worker={"CPU": 1}),
        run_config=RunConfig(name="run", storage_path=str(folder / "ray"), failure_config=FailureConfig(max_failures=max_failures)),
        datasets={"train": source} if source else {},
        dataset_config=StreamingConfig(stream) if stream else None,
    ).fit()


def stream_all(config: dict[str, Any]) -> None:
    """Write this rank's samples to a file that is named after the rank and the position it began at."""
    start = read_position(config["folder"])
    batches = Streaming(ray.train.get_dataset_shard("train"), config["prepared"], local_batch_size=BATCH_SIZE // WORKERS)
    write_samples(config["folder"], start, list(batches))


def stream_and_die(config: dict[str, Any]) -> None:
    """As `stream_all`, but the first time a worker dies after 37 steps; the position is then that of step 30."""
    if read_position(config["folder"]):
        stream_all(config)
        return
    batches = Streaming(ray.train.get_dataset_shard("train"), config["prepared"], local_batch_size=BATCH_SIZE // WORKERS)
    taken = list(islice(batches, 37))
    write_samples(config["folder"], 0, taken[:30])
    ray.train.report({})
    if ray.train.get_context().get_world_rank() == 1:
        (config["folder"] / "position").write_text(str(30 * BATCH_SIZE))
        os._exit(1)
    time.sleep(60)


def look_up_all(config: dict[str, Any]) -> None:
    """Write this rank's samples of two epochs of resident data."""
    resident = Resident(config["resident"], seed=5)
    assert not resident.shards[0].samples.flags.writeable  # it is the object store's own memory
    rank, size = ray.train.get_context().get_world_rank(), BATCH_SIZE // WORKERS
    write_samples(config["folder"], 0, [resident.samples(seen + rank * size, size) for seen in range(0, TOTAL, BATCH_SIZE)])


def write_samples(folder: Path, start: int, batches: list[tuple[np.ndarray, np.ndarray]]) -> None:
    """Write which rows the batches are, int64 [steps, local batch], after checking that images and labels agree."""
    for images, labels in batches:
        assert images.shape == (BATCH_SIZE // WORKERS, 1, 2, 2)
        assert images.dtype == np.uint8
        assert numbers(images) == labels.tolist()
    rank = ray.train.get_context().get_world_rank()
    np.save(folder / f"{start:06d}-{rank}.npy", np.stack([labels for _, labels in batches]))


def read_position(folder: Path) -> int:
    file = folder / "position"
    return int(file.read_text()) if file.exists() else 0


def in_global_order(folder: Path) -> np.ndarray:
    """Return what the ranks wrote, one start after the other, in the order of the samples' global indices."""
    starts = sorted({file.name.split("-")[0] for file in folder.glob("*.npy")})
    parts = [np.stack([np.load(folder / f"{start}-{rank}.npy") for rank in range(WORKERS)], axis=1) for start in starts]
    return np.concatenate([part.ravel() for part in parts])


def split(stream: Stream, workers: int, start: int) -> list[np.ndarray]:
    """Return the labels that each worker gets, int64 [steps, local batch], split as Ray Train splits datasets."""
    dataset = stream_windows(stream, attempt=0, start_images=start, total_images=TOTAL)
    shards = StreamingConfig(stream).configure({"train": dataset}, workers, None, None)
    local = list(deal(BATCH_SIZE, workers, ghost_batch=1))
    found: dict[int, np.ndarray] = {}

    def read(rank: int) -> None:
        batches = Streaming(shards[rank]["train"], stream.dataset, local_batch_size=local[rank].size)
        found[rank] = np.stack([labels for _, labels in batches])

    threads = [threading.Thread(target=read, args=(rank,)) for rank in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [found[rank] for rank in range(workers)]


def test_two_workers_stream_every_row_of_an_epoch_once_without_a_cpu_left_for_it(unbroken: np.ndarray) -> None:
    assert len(unbroken) >= TOTAL
    for epoch in unbroken[:TOTAL].reshape(2, COUNT):
        assert sorted(epoch) == list(range(COUNT))
    assert (unbroken[:COUNT] == unbroken[COUNT:TOTAL]).mean() < 0.02
    assert (np.diff(unbroken[:TOTAL]) == 1).mean() < 0.05


def test_a_stream_whose_worker_died_goes_on_exactly_where_the_checkpoint_was(
    prepared: PreparedDataset, unbroken: np.ndarray, tmp_path: Path
) -> None:
    train(stream_and_die, {"prepared": prepared, "folder": tmp_path}, tmp_path, stream=stream_of(prepared), max_failures=1)
    assert len(list(tmp_path.glob("*.npy"))) == 4
    assert (in_global_order(tmp_path) == unbroken).all()


@pytest.mark.parametrize("workers", [1, 3, 4])  # 3: local batches of 5, 5 and 6
@pytest.mark.parametrize("start", [0, 30 * BATCH_SIZE, 60 * BATCH_SIZE, TOTAL])
def test_any_number_of_workers_gets_the_same_global_batches_from_any_step_on(
    prepared: PreparedDataset, unbroken: np.ndarray, workers: int, start: int
) -> None:
    found = split(stream_of(prepared), workers, start)
    assert len({len(steps) for steps in found}) == 1
    assert (np.concatenate(found, axis=1).ravel() == unbroken[start:]).all()


def test_a_start_after_the_last_image_has_something_to_read_ahead(prepared: PreparedDataset) -> None:
    assert TOTAL <= 2112  # the end of a window, where a finished run may be started once more
    assert [steps.shape for steps in split(stream_of(prepared), WORKERS, 2112)] == [(12, 8), (12, 8)]


@dataclass(frozen=True)
class CountingStore:
    """A store that notes every read in a file."""

    inner: ObjectStore
    notes: Path

    def read(self, key: str) -> bytes:
        with self.notes.open("a") as notes:
            notes.write(f"{key}\n")
        return self.inner.read(key)

    def write(self, key: str, data: bytes) -> None:
        self.inner.write(key, data)


def test_a_slow_worker_has_few_windows_read_ahead(tmp_path: Path) -> None:
    """Shards of 0.4 MB: too small ones lie outside the object store, which is what is limited."""
    store = CountingStore(open_store(tmp_path / "store"), tmp_path / "reads")
    prepared = write_numbered(store, count=8192, rows_per_shard=128, shape=(3, 32, 32))
    stream = Stream(prepared, seed=0, window=1, batch_size=32, ghost_batch=1)
    assert stream.window_size == 128
    dataset = stream_windows(stream, attempt=0, start_images=0, total_images=8192)
    shard = StreamingConfig(stream).configure({"train": dataset}, 1, None, None)[0]["train"]
    batches = iter(Streaming(shard, prepared, local_batch_size=32))
    for taken in (1, 40):  # batches; four a window
        for _ in range(taken):
            next(batches)
        assert 1 <= settled_reads(store.notes) - (taken + 3) // 4 <= 8
    assert sum(1 for _ in batches) == 256 - 41
    assert len(store.notes.read_text().splitlines()) == 64


def settled_reads(notes: Path) -> int:
    """Return the number of reads once it has not grown for 1.5 s."""
    found, since = -1, time.monotonic()
    while time.monotonic() < since + 1.5:
        if (now := len(notes.read_text().splitlines())) != found:
            found, since = now, time.monotonic()
        time.sleep(0.05)
    return found


def test_resident_workers_get_the_global_order_in_equal_local_batches(prepared: PreparedDataset, tmp_path: Path) -> None:
    train(look_up_all, {"resident": load_resident(prepared), "folder": tmp_path}, tmp_path)
    assert (in_global_order(tmp_path) == rows(0, TOTAL, count=COUNT, seed=5)).all()


def test_resident_batches_do_not_depend_on_the_number_of_workers(prepared: PreparedDataset) -> None:
    resident = Resident(load_resident(prepared), seed=1, attempt=2)
    one, labels = resident.samples(992, BATCH_SIZE)  # across the end of an epoch
    four = [resident.samples(992 + share.start, share.size) for share in deal(BATCH_SIZE, 4, ghost_batch=1)]
    assert (np.concatenate([images for images, _ in four]) == one).all()
    assert np.concatenate([labels for _, labels in four]).tolist() == labels.tolist() == numbers(one)


def test_a_damaged_shard_is_named(tmp_path: Path) -> None:
    damaged = write_numbered(open_store(tmp_path), count=100, rows_per_shard=40)
    key = damaged.shard_keys()[1]
    damaged.storage.write(key, damaged.storage.read(key)[:-1])
    with pytest.raises(GanrayError, match=f"{key}.*SHA-256.*prepare it again"):
        load_resident(damaged)
