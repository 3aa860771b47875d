"""Sweeps over more than one node: a cluster that grows is used, and one that shrinks delays a sweep but does not stop it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
from ray.cluster_utils import Cluster

from ganray.cluster.session import use_settings
from ganray.runs.trials import Trial
from tests.helpers.sweeps import Watcher, checkpoints, sweep, within

pytestmark = pytest.mark.cluster

LIMIT_S = 400
LONG = ["train.total_images=38400", "train.checkpoint_every=2560", "evaluate.every=38400", "sweep.trials=4"]


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A cluster whose only node, the head, has one CPU; this process is connected to it."""
    use_settings()
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    ray.init(address=cluster.address, log_to_driver=False)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


class Weather:
    """Adds a node when the first trial has a checkpoint, and kills it when two trials that run have one."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster, self.folder = cluster, folder
        self.node: Any = None
        self.killed = False

    def __call__(self, trials: list[Trial]) -> None:
        if self.node is None and trials and checkpoints(self.folder, 0):
            self.node = self.cluster.add_node(num_cpus=1)
        running = [trial.number for trial in trials if trial.status == "running"]
        if self.node and not self.killed and len(running) > 1 and all(checkpoints(self.folder, number) for number in running):
            self.killed = True
            self.cluster.remove_node(self.node, allow_graceful=False)


@pytest.mark.slow
def test_a_sweep_grows_with_its_cluster_and_outlives_a_node(cluster: Cluster, tmp_path: Path) -> None:
    weather = Weather(cluster, tmp_path / "sweeps/tiny")
    watcher = Watcher(weather)
    result = within(LIMIT_S, lambda: sweep(tmp_path, *LONG, watcher=watcher))
    assert weather.killed
    assert watcher.most_running == 2
    assert [(trial.status, trial.images) for trial in result.trials] == [("finished", 38400)] * 4
    assert sum(trial.failures for trial in result.trials) == 1
    assert result.version


@pytest.mark.slow
def test_a_trial_of_two_workers_spans_two_nodes(cluster: Cluster, tmp_path: Path) -> None:
    cluster.add_node(num_cpus=1)
    result = within(LIMIT_S, lambda: sweep(tmp_path, "sweep.workers=2", "sweep.trials=2"))
    assert [(trial.status, trial.images) for trial in result.trials] == [("finished", 1280)] * 2
