"""Capacity: how many workers fit on nodes, and what a local machine is too small for."""

import pytest

from ganray.cluster.autoscaling.node_types import Growth, NodeType
from ganray.cluster.autoscaling.room import count_workers
from ganray.cluster.autoscaling.status import AutoscalerStatus, ClusterNode
from ganray.cluster.capacity import check_local_resources, check_reachable, check_worker_group_fits, max_worker_groups, worker_resources
from ganray.config import check_job
from ganray.errors import ClusterError, ConfigError

CORE = {"CPU": 1.0}
GPU_NODES = Growth((NodeType("gpu", {"CPU": 4.0, "GPU": 1.0}, 4),), 4)


@pytest.mark.parametrize(
    ("nodes", "worker", "places"),
    [
        ([{"CPU": 2.0}, {"CPU": 1.0}], CORE, 3),
        ([{"CPU": 2.0}, {"CPU": 1.0}], {"CPU": 2.0}, 1),
        ([{"CPU": 8.0, "GPU": 1.0}], {"CPU": 1.0, "GPU": 0.5}, 2),
        ([{"CPU": 8.0, "GPU": 2.0}], {"CPU": 1.0, "GPU": 0.6}, 2),  # what is left of two GPUs is not a third
        ([{"CPU": 1.0, "GPU": 4.0}, {"CPU": 64.0}], {"CPU": 1.0, "GPU": 1.0}, 1),
        ([{"CPU": 0.3}], {"CPU": 0.1}, 3),
        ([], CORE, 0),
    ],
)
def test_a_worker_needs_all_it_reserves_on_one_node(nodes: list[dict], worker: dict, places: int) -> None:
    assert count_workers(nodes, worker) == places


def test_gpus_are_needed_where_they_are_used() -> None:
    job = {"resources": {"gpus_per_worker": 0.5}}
    assert worker_resources(check_job({**job, "use_gpu": True})) == {"CPU": 1.0, "GPU": 0.5}
    assert worker_resources(check_job(job)) == {"CPU": 1.0}


def test_a_machine_that_is_too_small_names_the_field_and_what_would_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ray.cluster_resources", lambda: {"CPU": 2.0})
    check_local_resources(check_job({"workers": 2}))
    with pytest.raises(ConfigError, match="4 workers need 4 CPUs and this machine has 2; use workers=2") as error:
        check_local_resources(check_job({"workers": 4, "train": {"batch_size": 128}}))
    assert error.value.field == "workers"
    with pytest.raises(ConfigError, match="1 worker needs 1 GPU and this machine has 0") as error:
        check_local_resources(check_job({"use_gpu": True}))
    assert error.value.field == "use_gpu"


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """A head of two CPUs, with the autoscaler of the parameter: what it may start, and the number of its last update."""
    growth, update = request.param
    status = AutoscalerStatus(update, (ClusterNode("head", {"CPU": 2.0}),), {}, {}, ())
    monkeypatch.setattr("ganray.cluster.capacity.read_status", lambda: status)
    monkeypatch.setattr("ganray.cluster.capacity.find_growth", lambda: growth)


@pytest.mark.parametrize(
    ("cluster", "cpus", "groups"),
    [((GPU_NODES, 7), 1, 9), ((GPU_NODES, 7), 4, 2), ((None, 7), 4, 1), ((None, 7), 1, 2), ((None, 0), 4, 0), ((None, 0), 1, 1)],
    indirect=["cluster"],
    ids=["small", "nodes that may come", "unknown types", "unknown types, small", "no autoscaler", "no autoscaler, small"],
)
@pytest.mark.usefixtures("cluster")
def test_a_sweep_counts_the_places_that_an_autoscaler_may_add(cpus: float, groups: int) -> None:
    assert max_worker_groups(check_job({"resources": {"cpus_per_worker": cpus}}), workers=2) == groups


@pytest.mark.parametrize("cluster", [(GPU_NODES, 7)], indirect=True)
@pytest.mark.usefixtures("cluster")
def test_what_an_autoscaler_could_never_place_is_an_error_at_once() -> None:
    job = check_job({"resources": {"cpus_per_worker": 6}})
    with pytest.raises(ClusterError, match="the nearest, gpu, has 4 CPU, 2 too few"):
        check_reachable(job)
    with pytest.raises(ClusterError, match="the nearest, gpu, has 4 CPU, 2 too few"):
        check_worker_group_fits(job, workers=1)
    with pytest.raises(ClusterError, match=r"sweep\.workers: 5 workers of 4 CPU never have room: .+ use sweep\.workers=4"):
        check_worker_group_fits(check_job({"resources": {"cpus_per_worker": 4}}), workers=5)


@pytest.mark.parametrize("cluster", [(None, 0)], indirect=True)
@pytest.mark.usefixtures("cluster")
def test_without_an_autoscaler_a_run_may_wait_for_nodes_and_a_sweep_may_not() -> None:
    job = check_job({"resources": {"cpus_per_worker": 6}})
    check_reachable(job)
    with pytest.raises(ClusterError, match="cannot be placed: the cluster has 2 CPU on 1 node; lower resources"):
        check_worker_group_fits(job, workers=1)
