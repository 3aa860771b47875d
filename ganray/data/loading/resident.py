"""Resident data: all shards in Ray's object store, where a batch is a lookup by global sample index."""

from dataclasses import dataclass

import ray

from ganray.cluster.errors import unwrapped_errors
from ganray.data.dataset import PreparedDataset
from ganray.data.loading.order import rows
from ganray.data.loading.reading import Batch, ShardArrays, gather, read_shard


@dataclass(frozen=True)
class ResidentShards:
    """Where a dataset's shards are in Ray's object store. Can be pickled: it goes to the workers with their configuration."""

    refs: list[ray.ObjectRef]
    count: int
    rows_per_shard: int
    shape: tuple[int, int, int]  # (C, H, W)


def hold(prepared: PreparedDataset) -> ResidentShards:
    """Read all shards into Ray's object store. Raises `GanrayError` if one is not what the dataset card describes.

    They stay for as long as this process, or one that was handed the result, lives. A shard is the output of a task, not put
    there by hand, so Ray reads it again if the node that holds it dies.
    """
    at_once = max(2, int(ray.cluster_resources().get("CPU", 0)))
    refs, done, running = [], [], []
    for number in range(len(prepared.card.shards)):
        if len(running) == at_once:
            running = ray.wait(running, num_returns=1)[1]
        shard, is_there = _load.remote(prepared, number)
        refs.append(shard)
        done.append(is_there)
        running.append(is_there)
    with unwrapped_errors():
        ray.get(done)
    return ResidentShards(refs, prepared.card.count, prepared.card.rows_per_shard, prepared.card.shape)


class Resident:
    """One worker's view of resident data. Every worker of a node reads the same memory."""

    def __init__(self, resident: ResidentShards, *, seed: int, attempt: int = 0) -> None:
        self.resident, self.seed, self.attempt = resident, seed, attempt
        self.shards: list[ShardArrays] = ray.get(resident.refs)

    def batch(self, images_seen: int, rank: int, world_size: int, batch_size: int) -> Batch:
        """Return a rank's share of the global batch that starts at sample `images_seen`.

        That is images uint8 [share, C, H, W] and labels int64 [share] of samples `images_seen + rank * share` on, where
        share is batch_size / world_size.
        """
        data, share = self.resident, batch_size // world_size
        chosen = rows(images_seen + rank * share, share, count=data.count, seed=self.seed, attempt=self.attempt)
        return gather(chosen, self.shards.__getitem__, rows_per_shard=data.rows_per_shard, shape=data.shape)


# No CPU: a shard that is read again, after a node died, must not wait for one while the workers hold them all.
@ray.remote(num_cpus=0, num_returns=2, max_retries=-1, scheduling_strategy="SPREAD")
def _load(prepared: PreparedDataset, number: int) -> tuple[ShardArrays, None]:
    """Return a shard, and nothing: whoever waits for the second need not fetch the first."""
    return read_shard(prepared, number), None
