"""Resident data: all shards in Ray's object store, where a batch is a lookup by global sample index."""

from dataclasses import dataclass
from typing import cast

import ray

from ganray.cluster.errors import first_done, results_of
from ganray.data.dataset import PreparedDataset
from ganray.data.loading.order import rows
from ganray.data.loading.reading import SampleArrays, gather, read_shard
from ganray.data.shard import SampleType, ShardArrays

LOADING = "loading samples"


@dataclass(frozen=True)
class ResidentShards:
    """A dataset's shards by their references in Ray's object store. Picklable: handed to the workers with their configuration."""

    refs: list[ray.ObjectRef[ShardArrays]]
    count: int
    rows_per_shard: int
    sample_type: SampleType


def load_resident(dataset: PreparedDataset) -> ResidentShards:
    """Load all shards into Ray's object store. Raises `DataError` if one is not the file that the dataset card describes.

    They stay there while this process, or one that was handed the result, lives. A shard is the output of a task rather than
    of `ray.put`, so that Ray reads it again if the node that holds it dies.
    """
    max_running = max(2, int(ray.cluster_resources().get("CPU", 0)))
    refs: list[ray.ObjectRef[ShardArrays]] = []
    loaded: list[ray.ObjectRef[None]] = []
    running: list[ray.ObjectRef[None]] = []
    for number in range(len(dataset.card.shards)):
        if len(running) == max_running:
            running = first_done(running, LOADING)
        shard, is_loaded = cast("tuple[ray.ObjectRef[ShardArrays], ray.ObjectRef[None]]", _load.remote(dataset, number))
        refs.append(shard)
        loaded.append(is_loaded)
        running.append(is_loaded)
    results_of(loaded, LOADING)
    return ResidentShards(refs, dataset.card.count, dataset.card.rows_per_shard, dataset.card.sample_type)


class Resident:
    """One worker's view of resident data. Every worker of a node reads the same memory."""

    def __init__(self, resident: ResidentShards, *, seed: int, attempt: int = 0) -> None:
        self.resident, self.seed, self.attempt = resident, seed, attempt
        self.shards: list[ShardArrays] = ray.get(resident.refs)

    def samples(self, start: int, number: int) -> SampleArrays:
        """Return samples [number, *shape] and labels int64 [number] of the samples from `start` on, as the run sees them."""
        data = self.resident
        chosen = rows(start, number, count=data.count, seed=self.seed, attempt=self.attempt)
        return gather(chosen, self.shards.__getitem__, rows_per_shard=data.rows_per_shard, sample_type=data.sample_type)


# No CPU: a shard that is read again, after a node died, must not wait for one while the workers hold them all.
@ray.remote(num_cpus=0, num_returns=2, max_retries=-1, scheduling_strategy="SPREAD")
def _load(dataset: PreparedDataset, number: int) -> tuple[ShardArrays, None]:
    """Return a shard, and None: awaiting the second does not fetch the first."""
    return read_shard(dataset, number), None
