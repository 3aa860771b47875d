"""What workers ask for, against what a cluster's autoscaler told at the time: states that were recorded on a cluster of fake nodes."""

import base64
import json
from pathlib import Path

import pytest

from ganray.cluster.autoscaling.demand import Demand, InfeasibleWatch, check_satisfiable, outlook
from ganray.cluster.autoscaling.node_types import Growth, NodeType
from ganray.cluster.autoscaling.room import max_workers
from ganray.cluster.autoscaling.status import AutoscalerStatus, ClusterNode, parse_status
from ganray.errors import ClusterError

# each is a serialized GetClusterStatusReply of Ray 2.60, with a head of 2 CPUs and up to 4 nodes of `cluster.yaml`'s type
RECORDED = {name: base64.b64decode(text) for name, text in json.loads(Path(__file__).with_name("states.json").read_text()).items()}
GPU = NodeType("gpu", {"CPU": 4.0, "GPU": 1.0}, 4)
GROWTH = Growth((GPU,), 4)
WORKER = {"CPU": 4.0, "GPU": 1.0}


def recorded(name: str) -> AutoscalerStatus:
    return parse_status(RECORDED[name])


def problem_of(worker: dict[str, float], number: int, growth: Growth | None = GROWTH, state: str = "idle") -> ClusterError | None:
    try:
        check_satisfiable(Demand(worker, number), recorded(state).nodes, growth)
    except ClusterError as error:
        return error
    return None


def test_a_state_tells_of_nodes_and_of_what_is_coming() -> None:
    assert [(node.type, node.resources["CPU"]) for node in recorded("idle").nodes] == [("", 2.0)]
    assert recorded("idle").starting == {}
    assert recorded("starting").starting == {"gpu": 1}
    assert sorted(node.type for node in recorded("grown").nodes) == ["", "gpu", "gpu"]
    assert {"CPU": 4.0, "GPU": 1.0}.items() <= recorded("grown").nodes[1].resources.items()
    assert [node.type for node in recorded("shrunk").nodes] == [""]
    assert recorded("grown").update > recorded("starting").update > recorded("infeasible").update > recorded("idle").update > 0


def test_a_state_tells_of_what_is_asked_for_in_vain() -> None:
    assert recorded("infeasible").infeasible == ({"CPU": 4.0, "GPU": 2.0},) * 2
    assert recorded("grown").infeasible == ()


@pytest.mark.parametrize(("worker", "most"), [({"CPU": 4.0}, 4), ({"CPU": 2.0}, 9), ({"CPU": 1.0, "GPU": 0.5}, 8), ({"CPU": 5.0}, 0)])
@pytest.mark.parametrize("state", ["idle", "grown"])
def test_room_is_that_of_other_nodes_and_of_all_that_may_be_started(worker: dict[str, float], most: int, state: str) -> None:
    assert max_workers(recorded(state).nodes, GROWTH, worker) == most


def test_the_best_types_are_counted_up_to_the_cluster_s_limit() -> None:
    growth = Growth((NodeType("small", {"CPU": 2.0}, 9), NodeType("large", {"CPU": 8.0}, 1)), 3)
    assert max_workers([], growth, {"CPU": 2.0}) == 4 + 2 * 1


@pytest.mark.parametrize("number", [1, 4])
def test_what_may_be_started_is_waited_for(number: int) -> None:
    assert problem_of(WORKER, number) is None
    assert problem_of(WORKER, number, state="grown") is None


def test_too_many_workers_are_told_how_many_there_is_room_for() -> None:
    assert str(problem_of(WORKER, 5)) == (
        "workers: 5 workers of 4 CPU and 1 GPU never have room: once its autoscaler has started all nodes that it may, the cluster has "
        "it for 4 (max_workers: 4 in all; gpu to 4 nodes); use workers=4, or raise max_workers"
    )


def test_a_worker_that_is_too_large_is_told_the_nearest_type_and_the_gap() -> None:
    assert str(problem_of({"CPU": 4.0, "GPU": 2.0}, 1)) == (
        "resources.gpus_per_worker: no node type has room for a worker of 4 CPU and 2 GPU: the nearest, gpu, has 1 GPU, 1 too few; "
        "use resources.gpus_per_worker=1, or add a node type that has it"
    )
    assert str(problem_of({"CPU": 6.0}, 2)).startswith(
        "resources.cpus_per_worker: no node type has room for a worker of 6 CPU: the nearest, gpu, has 4 CPU, 2 too few"
    )


def test_the_nearest_type_lacks_the_fewest_resources_by_the_least() -> None:
    types = (
        NodeType("cpu", {"CPU": 64.0}, 4),
        NodeType("small", {"CPU": 2.0, "GPU": 1.0}, 4),
        NodeType("big", {"CPU": 3.0, "GPU": 1.0}, 4),
    )
    assert "the nearest, big, has 3 CPU, 1 too few" in str(problem_of(WORKER, 1, Growth(types, 4)))
    assert "use use_gpu=false" in str(problem_of(WORKER, 1, Growth(types[:1], 4)))


def test_a_type_that_may_have_no_nodes_is_none() -> None:
    growth = Growth((NodeType("gpu", {"CPU": 4.0, "GPU": 1.0}, 0), NodeType("cpu", {"CPU": 4.0}, 4)), 4)
    assert "the nearest, cpu, has 0 GPU, 1 too few" in str(problem_of(WORKER, 1, growth))


@pytest.mark.parametrize("growth", [None, Growth((NodeType("gpu", {}, 4),), 4)], ids=["no autoscaler", "a type that its cloud knows"])
def test_where_room_may_come_it_is_waited_for(growth: Growth | None) -> None:
    assert problem_of({"CPU": 64.0}, 1, growth) is None


def test_without_types_what_an_autoscaler_finds_no_room_for_twice_never_comes() -> None:
    watch, status = InfeasibleWatch(Demand({"CPU": 4.0, "GPU": 2.0}, 2)), recorded("infeasible")
    watch.look(status, None)
    watch.look(status, None)  # the same update, read again
    later = AutoscalerStatus(status.update + 1, status.nodes, {}, {}, status.infeasible)
    with pytest.raises(ClusterError, match=r"no node type has room for a worker of 4 CPU and 2 GPU: the nearest, a node, has"):
        watch.look(later, None)


def test_a_full_cluster_is_waited_for() -> None:
    status = recorded("infeasible")
    watch = InfeasibleWatch(Demand({"CPU": 4.0, "GPU": 2.0}, 2))
    for update in range(5):
        busy = (*status.nodes, ClusterNode("large", {"CPU": 8.0, "GPU": 2.0}))
        watch.look(AutoscalerStatus(update, busy, {}, {}, status.infeasible), None)


def test_what_is_waited_for_is_told_in_a_line() -> None:
    demand, status = Demand({"CPU": 4.0}, 2), recorded("starting")
    assert outlook(demand, status, {}) == "waiting for room for 2 workers of 4 CPU: 1 node of type gpu is being started"
    failed = AutoscalerStatus(1, status.nodes, {}, {"gpu": "InsufficientInstanceCapacity: no\n capacity"}, ())
    assert outlook(demand, failed, {}).endswith("nodes cannot be started (gpu: InsufficientInstanceCapacity: no capacity)")
    line = "waiting for room for 2 workers of 4 CPU; the cluster now has 2 CPU in all"
    assert outlook(demand, recorded("idle"), {"CPU": 2.0}) == outlook(demand, None, {"CPU": 2.0}) == line
