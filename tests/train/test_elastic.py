"""Elastic runs: how many workers they take, and a run on a cluster that loses a node and gets another."""

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
from ray._raylet import GcsClient
from ray.cluster_utils import Cluster
from ray.core.generated.autoscaler_pb2 import DrainNodeReason

from ganray.cluster.placement import RoomWatch, count_placeable, usable_nodes
from ganray.cluster.session import use_settings
from ganray.config import load_job
from ganray.config.training import useful_workers
from ganray.train.moves import MoveWatch
from ganray.train.train import run_training
from tests.helpers.runs import REPOSITORY, TINY, checkpoints, training, wait_until

EAGER = ["train.checkpoint_every={seconds: 1}", "train.log_every=320"]  # so that a change of workers is soon to be seen


@pytest.mark.parametrize(
    ("count", "useful"),
    [(1, 1), (2, 2), (3, 2), (4, 4), (5, 4), (9, 4)],  # of 4 ghost batches
)
def test_only_workers_that_make_a_step_faster_are_useful(count: int, useful: int) -> None:
    assert useful_workers(count, batch_size=64, ghost_batch=16) == useful


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A cluster whose head has no place for a worker, with two nodes of one each; this process is connected to it."""
    use_settings()
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for _ in range(2):
        cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    ray.init(address=cluster.address, log_to_driver=False)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


@pytest.mark.cluster
def test_places_are_counted_as_they_are_now(cluster: Cluster) -> None:
    bundle = {"CPU": 1.0}
    assert count_placeable(bundle, 3, patience_s=1) == 2
    busy = ray.remote(num_cpus=1)(_Busy).remote()
    ray.get(busy.__ray_ready__.remote())
    assert count_placeable(bundle, 3, patience_s=1) == 1
    room = RoomWatch(bundle, 2)
    assert not room.has_room()
    cluster.add_node(num_cpus=1)
    until = time.monotonic() + 60
    while not room.has_room():
        assert time.monotonic() < until, "no room, though there is a node more"
    room.close()
    assert count_placeable(bundle, 2, patience_s=5) == 2


@pytest.mark.cluster
def test_a_node_is_unusable_from_the_moment_that_it_dies(cluster: Cluster) -> None:
    nodes = {node.node_id for node in cluster.list_all_nodes()}
    assert usable_nodes(nodes) == nodes
    lost = cluster.list_all_nodes()[-1]
    cluster.remove_node(lost, allow_graceful=False)
    assert usable_nodes(nodes) == nodes - {lost.node_id}


@pytest.mark.cluster
@pytest.mark.slow
def test_a_run_shrinks_with_a_lost_node_and_grows_with_a_new_one(cluster: Cluster, tmp_path: Path) -> None:
    elastic = ["workers={min: 1, max: 2}", "train.max_failures=1", "train.total_images=1000000", "publish.every=0", *EAGER]
    with training(tmp_path, *elastic, "--address", cluster.address) as driver:
        _wait_for(tmp_path, [2], driver)
        wait_until(lambda: checkpoints(tmp_path), driver)
        before = int(checkpoints(tmp_path)[-1].name.split("-")[1])
        cluster.remove_node(cluster.list_all_nodes()[-1], allow_graceful=False)
        _wait_for(tmp_path, [2, 1], driver)
        cluster.add_node(num_cpus=1)
        _wait_for(tmp_path, [2, 1, 2], driver)
        driver.send_signal(signal.SIGINT)
        output, _ = driver.communicate(timeout=120)
    assert driver.returncode == 130, output
    assert "going on with more after a checkpoint" in output
    images = int(checkpoints(tmp_path)[-1].name.split("-")[1])
    assert images > before
    assert not [group for group in ray.util.placement_group_table().values() if group["state"] != "REMOVED"]


@pytest.mark.cluster
@pytest.mark.slow
def test_an_elastic_run_streams_the_samples_of_any_other(cluster: Cluster, tmp_path: Path) -> None:
    weights = []
    for name, workers in (("fixed", "2"), ("elastic", "{min: 1, max: 4}")):
        short = ["train.total_images=6400", "data.mode=streaming", "publish.every=0", "evaluate.every=6400"]
        job = load_job(
            REPOSITORY / "jobs/quickstart.yaml",
            [*TINY, *short, f"storage={tmp_path}", f"workers={workers}", f"name={name}", f"publish.model={name}"],
        )
        run_training(job)
        (published,) = tmp_path.glob(f"models/{name}/*/generator.safetensors")
        weights.append(published.read_bytes())
    assert weights[0] == weights[1]


class _Busy:
    """Takes a CPU."""


def _workers(metrics: Path) -> list[int]:
    """Return the numbers of workers that a run has trained on, from the parts of its metrics log."""
    lines = _lines(metrics)
    return [int(line["message"].split()[2]) for line in lines if line.get("event") == "workers"]


def _lines(metrics: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for part in sorted(metrics.glob("*")) for line in part.read_text().splitlines()]


def _wait_for(storage: Path, workers: list[int], driver: subprocess.Popen[str]) -> None:
    wait_until(lambda: _workers(storage / "runs/tiny/metrics") == workers, driver)


def test_a_move_waits_until_workers_train() -> None:
    move = MoveWatch(load_job(REPOSITORY / "jobs/quickstart.yaml", ["workers={min: 1, max: 2}"]))
    move.look(None)
    move.look(["one", "other"])
    assert move.room is None
    assert not move.is_due


@pytest.mark.cluster
def test_a_run_leaves_a_node_that_is_drained_and_trains_nothing_twice(cluster: Cluster, tmp_path: Path) -> None:
    elastic = ["workers={min: 1, max: 2}", "train.max_failures=0", "train.total_images=1000000", "publish.every=0", *EAGER]
    with training(tmp_path, *elastic, "--address", cluster.address) as driver:
        _wait_for(tmp_path, [2], driver)
        leaving = next(node for node in cluster.list_all_nodes() if node != cluster.head_node)
        head = GcsClient(address=cluster.gcs_address)
        head.drain_node(leaving.node_id, DrainNodeReason.Value("DRAIN_NODE_REASON_PREEMPTION"), "spot", int((time.time() + 300) * 1000))
        _wait_for(tmp_path, [2, 1], driver)
        driver.send_signal(signal.SIGINT)
        output, _ = driver.communicate(timeout=120)
    assert driver.returncode == 130, output
    assert "1 node of this run will leave the cluster; going on elsewhere after a checkpoint" in output
    lines = [line["images_seen"] for line in _lines(tmp_path / "runs/tiny/metrics") if line["kind"] == "train"]
    assert lines == sorted(set(lines))
