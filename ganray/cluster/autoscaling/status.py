"""How a cluster's autoscaler stands: nodes, what is being started, what cannot be, and what no node type has room for.

Ray's own `ClusterStatus` leaves out the last one, so the message is read that it is made from. It is written once an update.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import ray
from ray._raylet import GcsClient  # type: ignore[attr-defined]  # compiled
from ray.core.generated.autoscaler_pb2 import GetClusterStatusReply, NodeStatus  # type: ignore[attr-defined]  # made when it is imported

GROUP = "_group_"  # in the names of resources that placement groups have set apart


@dataclass(frozen=True)
class ClusterNode:
    """A node that is alive: the type that the autoscaler started it as, empty for others, and what it has, in use or not."""

    type: str
    resources: Mapping[str, float]


@dataclass(frozen=True)
class AutoscalerStatus:
    """A cluster's nodes, and its autoscaler after an update. `update` tells updates apart; 0 where none of version 2 has told any."""

    update: int
    nodes: tuple[ClusterNode, ...]
    starting: Mapping[str, int]  # nodes that are asked for, or not yet in Ray, by type
    failures: Mapping[str, str]  # the newest reason why one could not be started, by type
    infeasible: tuple[Mapping[str, float], ...]  # bundles of resources that are asked for in vain


def read_status() -> AutoscalerStatus | None:
    """Return the status of the connected cluster; None where the head does not answer now, and through Ray Client, which cannot ask."""
    if ray.util.client.ray.is_connected():
        return None
    head = GcsClient(address=ray.get_runtime_context().gcs_address)
    try:
        return parse_status(head.get_cluster_status())
    except ray.exceptions.RpcError:
        return None


def parse_status(reply: bytes) -> AutoscalerStatus:
    """Return the status that a serialized `GetClusterStatusReply` tells of."""
    message = GetClusterStatusReply.FromString(reply)
    state, dead = message.autoscaling_state, NodeStatus.Value("DEAD")
    starting: Counter[str] = Counter()
    for request in state.pending_instance_requests:
        starting[request.ray_node_type_name] += request.count
    for instance in state.pending_instances:
        starting[instance.ray_node_type_name] += 1
    failed = sorted(state.failed_instance_requests, key=lambda request: request.failed_ts)
    alone = [request.resources_bundle for request in state.infeasible_resource_requests]
    together = [request.resources_bundle for gang in state.infeasible_gang_resource_requests for request in gang.requests]
    return AutoscalerStatus(
        update=state.last_seen_cluster_resource_state_version,  # its own version changes only where nodes do
        nodes=tuple(
            ClusterNode(node.ray_node_type_name, {name: amount for name, amount in node.total_resources.items() if GROUP not in name})
            for node in message.cluster_resource_state.node_states
            if node.status != dead
        ),
        starting=dict(starting),
        failures={request.ray_node_type_name: request.reason for request in failed},
        infeasible=tuple(dict(bundle) for bundle in [*alone, *together]),
    )
