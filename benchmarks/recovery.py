"""How long training stands still when something dies: from a kill -9 to the next training step, and the images trained again.

worker: one of two workers is killed, on a Ray of this machine. node: the node of one of two workers is killed, where a third node has
room. A tiny generator, which checkpoints every 5 seconds, so that what is measured is detection, placement, processes, imports and the
process group, and not the step. The targets are of two quiet cores.
"""

import argparse
import os
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sized
from functools import partial
from pathlib import Path

import ray
from ray.cluster_utils import Cluster

from ganray.cluster.session import use_settings, without_ray_messages
from ganray.runs.event_log import EventKind
from ganray.runs.run import Run
from ganray.storage import open_store
from tests.helpers.runs import train_workers, training, wait_until

ENDLESS = ["train.total_images=1000000000", "train.checkpoint_every={seconds: 5}", "train.max_failures=100", "publish.every=0"]
ENDLESS += ["evaluate=none", "train.samples_every=1000000000"]
TRAIN_S = 8.0  # between kills, so that there is a checkpoint after the last
TARGETS_S = {"worker": 12.0, "node": 15.0}


def recoveries(storage: Path, driver: subprocess.Popen[str], kill: Callable[[], None], repeats: int) -> Iterator[tuple[float, int]]:
    """Kill again and again; give the seconds from each kill to the next training step, and the images that were trained again."""
    run = Run(open_store(storage), "runs/tiny")

    def started() -> list[float]:
        return [event.time for event in run.events() if event.kind == EventKind.TRAINING]

    wait_until(started, driver)
    for number in range(repeats):
        time.sleep(TRAIN_S)
        before, killed = len(started()), time.time()
        kill()
        wait_until(partial(_has_more, started, before), driver)
        wait_until(partial(_has_more, lambda: _again(run), number), driver)
        yield started()[-1] - killed, _again(run)[-1]


def _has_more(found: Callable[[], Sized], number: int) -> bool:
    return len(found()) > number


def _again(run: Run) -> list[int]:
    return [event.details["images_again"] for event in run.events() if event.kind == EventKind.RECOVERY]


def of_workers(storage: Path, repeats: int) -> list[tuple[float, int]]:
    """Return the recoveries from the death of one worker."""
    with training(storage, *ENDLESS) as driver:
        return list(recoveries(storage, driver, lambda: os.kill(train_workers(driver.pid)[-1], signal.SIGKILL), repeats))


def of_nodes(storage: Path, repeats: int) -> list[tuple[float, int]]:
    """Return the recoveries from the death of one worker's node; another takes the place of each that was killed."""
    use_settings()
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for _ in range(3):
        cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    ray.init(address=cluster.address, log_to_driver=False)

    def kill() -> None:
        actors = [row for row in ray._private.state.actors().values() if row["State"] == "ALIVE"]
        busy = {row["Address"]["NodeID"] for row in actors if "RayTrainWorker" in str(row.get("ActorClassName"))}
        lost = next(node for node in cluster.list_all_nodes() if node.node_id in busy)
        cluster.remove_node(lost, allow_graceful=False)
        cluster.add_node(num_cpus=1)

    try:
        with without_ray_messages(), training(storage, *ENDLESS, "--address", cluster.address) as driver:
            return list(recoveries(storage, driver, kill, repeats))
    finally:
        ray.shutdown()
        cluster.shutdown()


def main() -> None:
    """Print a line for each kind of death."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    print("death of   seconds to the next step: median (least to most)  target   images trained again, median", flush=True)
    for name, measure in (("worker", of_workers), ("node", of_nodes)):
        with tempfile.TemporaryDirectory() as folder:
            found = measure(Path(folder), arguments.repeats)
        seconds = sorted(each for each, _ in found)
        shown = f"{statistics.median(seconds):.1f} ({seconds[0]:.1f} to {seconds[-1]:.1f})"
        print(f"{name:9}  {shown:>47}  {TARGETS_S[name]:6.0f}  {statistics.median(again for _, again in found):29,.0f}", flush=True)


if __name__ == "__main__":
    main()
