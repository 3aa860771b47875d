"""Places: on this node; in placement groups how many there are at the moment, waiting for more, removing those of dead creators."""

import socket
from collections.abc import Mapping
from typing import Any

import ray
from ray.core.generated.gcs_pb2 import PlacementGroupTableData  # type: ignore[attr-defined]  # made when it is imported
from ray.util.placement_group import PlacementGroup, placement_group, remove_placement_group
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from ganray.cluster.autoscaling.node_types import HEAD

ANSWER_S = 1.0  # that a node has to answer in


def remove_orphaned_placement_groups() -> None:
    """Remove the placement groups that actors of this driver have made which have died: their places would stay reserved.

    Ray Train's own remover needs Ray's dashboard, and outlives the controllers that it watches: ganray's trainer goes without it.
    """
    job_id = ray.get_runtime_context().get_job_id()
    for row in ray._private.state.state._connect_and_get_accessor().get_placement_group_table():
        group = PlacementGroupTableData.FromString(row)
        is_orphaned = group.creator_actor_dead and group.creator_job_id.hex() == job_id
        if is_orphaned and group.state != PlacementGroupTableData.REMOVED:
            remove_placement_group(PlacementGroup(ray.PlacementGroupID(group.placement_group_id)))


def count_placeable(bundle: Mapping[str, float], most: int, *, patience_s: float) -> int:
    """Return how many bundles of resources can be placed now, up to `most`; waits so long for those that cannot."""
    if most <= 0:
        return 0
    groups = [placement_group([dict(bundle)]) for _ in range(most)]
    try:
        ready, _ = ray.wait([group.ready() for group in groups], num_returns=most, timeout=patience_s)
        return len(ready)
    finally:
        for group in groups:
            remove_placement_group(group)


def draining_nodes() -> dict[str, float]:
    """Return the nodes, by id, on which nothing new is placed, since they are about to leave, and when (Unix seconds; 0: unknown)."""
    return {node: deadline_ms / 1000 for node, deadline_ms in ray._private.state.state.get_draining_nodes().items()}


def usable_nodes(nodes: set[str]) -> set[str]:
    """Return those of some nodes that live and are not about to leave. Each is asked: for seconds Ray's head may not know of a death."""
    candidates = [node for node in ray.nodes() if node["NodeID"] in nodes and node["Alive"]]
    return {node["NodeID"] for node in candidates if _answers(node)} - draining_nodes().keys()


def _answers(node: Mapping[str, Any]) -> bool:
    try:
        socket.create_connection((node["NodeManagerAddress"], node["NodeManagerPort"]), timeout=ANSWER_S).close()
    except OSError:
        return False
    return True


def this_node() -> str:
    """Return the id of the node that this process is on; empty outside Ray."""
    return ray.get_runtime_context().get_node_id() if ray.is_initialized() else ""


def on_this_node() -> NodeAffinitySchedulingStrategy:
    """Return what places an actor on the node that this process is on, and nowhere else."""
    return NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)


def resource_of_this_node() -> str:
    """Return the resource that only the node has which this process is on."""
    names: list[str] = [name for node in ray.nodes() if node["NodeID"] == this_node() for name in node["Resources"]]
    return next(name for name in names if name.startswith("node:") and name != HEAD)


class RoomWatch:
    """Waits for room for more workers by a placement group that is pending until then, which also asks the autoscaler for nodes."""

    def __init__(self, bundle: Mapping[str, float], number: int) -> None:
        self.group = placement_group([dict(bundle)] * number)

    def has_room(self, patience_s: float = 0.0) -> bool:
        """Return whether there is room, which is held until `close`; waits so long for it."""
        return bool(self.group.wait(patience_s))

    def close(self) -> None:
        """Give the places back."""
        remove_placement_group(self.group)
