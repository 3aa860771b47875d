"""On a cluster whose autoscaler starts nodes of `cluster.yaml`'s type: a run and a sweep get what does not exist yet, and leave none."""

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from ray._raylet import GcsClient

from ganray.cluster.autoscaling.status import parse_status
from tests.helpers.autoscaling import autoscaling_head
from tests.helpers.heads import Head
from tests.helpers.runs import TINY, ganray, training, wait_until
from tests.helpers.sweeps import SMALL

pytestmark = pytest.mark.slow

IDLE_S = 8.0
WORKER = ["resources.cpus_per_worker=4", "use_gpu=false"]  # more than the head has; the nodes' GPUs do not exist
ELASTIC = [*WORKER, "workers={min: 1, max: 2}", "train.total_images=1000000", "train.checkpoint_every={seconds: 1}", "publish.every=0"]


def nodes(head: Head) -> list[str]:
    """Return the types of the nodes beside the head."""
    status = parse_status(GcsClient(address=head.gcs_address).get_cluster_status())
    return [node.type for node in status.nodes if node.type]


def wait_for(condition: Callable[[], bool], *, seconds: float) -> float:
    """Wait until something is so, and return how long that took."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() < started + seconds, "waited too long"
        time.sleep(0.2)
    return time.monotonic() - started


def worker_counts(storage: Path) -> list[int]:
    """Return by how many workers the tiny run has trained, one start after another."""
    events = [json.loads(path.read_text()) for path in storage.glob("runs/tiny/events/*-training-*.json")]
    return [event["workers"] for event in sorted(events, key=lambda event: event["time"])]


def test_nodes_come_with_the_work_and_go_with_it(tmp_path: Path) -> None:
    storage = tmp_path / "store"
    prepared = ganray("prepare", "jobs/quickstart.yaml", *TINY, f"storage={storage}")  # which may ask for nodes, too
    assert prepared.returncode == 0, prepared.stderr
    with autoscaling_head(tmp_path, idle_s=IDLE_S) as head:
        place = ["--address", head.gcs_address]
        impossible = ganray("train", "jobs/quickstart.yaml", *TINY, f"storage={storage}", "resources.cpus_per_worker=6", *place)
        assert impossible.returncode == 3, impossible.stderr
        assert "the nearest, gpu, has 4 CPU, 2 too few; use resources.cpus_per_worker=4, or add a node type" in impossible.stderr
        assert not (storage / "runs").exists()
        assert nodes(head) == []

        with training(storage, *ELASTIC, *place) as driver:
            wait_until(lambda: worker_counts(storage)[-1:] == [2], driver)
            assert nodes(head) == ["gpu", "gpu"]
            driver.send_signal(signal.SIGINT)
            output, _ = driver.communicate(timeout=180)
        assert driver.returncode == 130, output
        assert "waiting for room for 1 worker of 4 CPU: 1 node of type gpu is being started" in output
        print(f"nodes were gone after {wait_for(lambda: not nodes(head), seconds=180):.0f} s")

        sweep = ganray("sweep", "jobs/quickstart.yaml", *SMALL, f"storage={storage}", *WORKER, *place, "--json")
        assert sweep.returncode == 0, sweep.stderr
        assert [trial["status"] for trial in json.loads(sweep.stdout)["trials"]] == ["finished"] * 2
        assert set(nodes(head)) <= {"gpu"}
        wait_for(lambda: not nodes(head), seconds=180)
