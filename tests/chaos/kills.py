"""What chaos kills: each kind of process of a run, a node, the S3 server; as `kill -9` does, and by the processes that are there."""

import os
import random
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress

from tests.chaos.run_cluster import NODES, RunCluster

AWAY_S = (1.0, 5.0)  # that a node or the server is gone
Kill = Callable[[RunCluster, random.Random], bool]  # whether there was something to kill


def kill_worker(cluster: RunCluster, dice: random.Random) -> bool:
    """Kill one training worker."""
    workers = cluster.processes("RayTrainWorker")
    return end(dice.sample(workers, 1)) if workers else False


def kill_workers(cluster: RunCluster, _: random.Random) -> bool:
    """Kill all training workers at once."""
    return end(cluster.processes("RayTrainWorker"))


def kill_controller(cluster: RunCluster, _: random.Random) -> bool:
    """Kill Ray Train's controller."""
    return end(cluster.processes("TrainController"))


def kill_progress_actor(cluster: RunCluster, _: random.Random) -> bool:
    """Kill the progress actor."""
    return end(cluster.processes("ProgressActor"))


def kill_driver(cluster: RunCluster, _: random.Random) -> bool:
    """Kill the driver, which the same command follows."""
    cluster.end_driver()
    return True


def kill_raylet(cluster: RunCluster, dice: random.Random) -> bool:
    """Kill a node, and give the cluster another one after seconds."""
    cluster.replace_node(dice.randrange(NODES), dice.uniform(*AWAY_S))
    return True


def stop_server(cluster: RunCluster, dice: random.Random) -> bool:
    """Kill the S3 server, and start it again after seconds."""
    cluster.restart_server(dice.uniform(*AWAY_S))
    return True


KILLS: dict[str, Kill] = {
    "worker": kill_worker,
    "all workers": kill_workers,
    "controller": kill_controller,
    "progress actor": kill_progress_actor,
    "driver": kill_driver,
    "raylet": kill_raylet,
    "S3 server": stop_server,
}


def shuffled(dice: random.Random, kinds: list[str]) -> Iterator[str]:
    """Yield kinds for ever, each once before any comes again."""
    while True:
        yield from dice.sample(kinds, len(kinds))


def end(pids: list[int]) -> bool:
    """Kill processes, and return whether there were any."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return bool(pids)
