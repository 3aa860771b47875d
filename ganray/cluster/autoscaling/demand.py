"""What workers ask a cluster for: whether its nodes and node types can ever have room for them, and what they wait for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ganray.cluster.autoscaling.node_types import Growth
from ganray.cluster.autoscaling.room import Resources, count_workers, max_workers
from ganray.cluster.autoscaling.status import AutoscalerStatus, ClusterNode
from ganray.errors import ClusterError, plural

MAX_REASON = 160  # characters
UPDATES = 2  # of the autoscaler in which it finds no room, before that is believed


@dataclass(frozen=True)
class Demand:
    """So many workers at once, of so much each. `field` of the job is how many there are."""

    worker: Resources
    number: int
    field: str = "workers"

    def __str__(self) -> str:
        return f"{plural(self.number, 'worker')} of {amounts(self.worker)}"


def check_satisfiable(demand: Demand, nodes: Sequence[ClusterNode], growth: Growth | None) -> None:
    """Raise `ClusterError`, which names what is missing and the nearest node type, if an autoscaler could never make room.

    Without an autoscaler, or where one has types of which only the cloud knows what they have, room may come at any time.
    """
    if growth is None or not all(kind.resources for kind in growth.types if kind.max_nodes):
        return
    if (most := max_workers(nodes, growth, demand.worker)) < demand.number:
        raise too_many(demand, most, growth) if most else too_large(demand, nodes, growth)


class InfeasibleWatch:
    """Watches whether an autoscaler whose node types are not known finds no room for a worker, in one update after another."""

    def __init__(self, demand: Demand) -> None:
        self.demand = demand
        self.updates: set[int] = set()

    def look(self, status: AutoscalerStatus, growth: Growth | None) -> None:
        """Take in an update. Raises `ClusterError` after `UPDATES` in which no node that there is has room, nor any that may come."""
        has_node = count_workers([node.resources for node in status.nodes], self.demand.worker) > 0
        if growth is not None or has_node or status.starting or dict(self.demand.worker) not in map(dict, status.infeasible):
            self.updates.clear()
            return
        self.updates.add(status.update)
        if len(self.updates) >= UPDATES:
            raise too_large(self.demand, status.nodes, growth)


def too_many(demand: Demand, most: int, growth: Growth) -> ClusterError:
    """Return the error for more workers than there is room for once the autoscaler has started all it may."""
    limits = ", ".join(f"{kind.name} to {plural(kind.max_nodes, 'node')}" for kind in growth.types)
    problem = f"{demand} never have room: once its autoscaler has started all nodes that it may, the cluster has it for {most}"
    limits = f"max_workers: {growth.max_nodes} in all; {limits}"
    return ClusterError(demand.field, f"{problem} ({limits})", f"use {demand.field}={most}, or raise max_workers")


def too_large(demand: Demand, nodes: Sequence[ClusterNode], growth: Growth | None) -> ClusterError:
    """Return the error for workers of which no node, of those that there are or may come, has room for one."""
    kinds = {kind.name: kind.resources for kind in growth.types if kind.max_nodes} if growth else {}
    kinds |= {node.type or "a node": node.resources for node in nodes if (node.type or "a node") not in kinds}
    if not kinds:
        return ClusterError(demand.field, f"no node has room for a worker of {amounts(demand.worker)}", "add nodes")
    nearest, resources = min(kinds.items(), key=lambda kind: gap(demand.worker, kind[1]))
    missing = [name for name in demand.worker if resources.get(name, 0) < demand.worker[name]]
    gaps = " and ".join(f"{resources.get(name, 0):g} {name}, {demand.worker[name] - resources.get(name, 0):g} too few" for name in missing)
    problem = f"no node type has room for a worker of {amounts(demand.worker)}: the nearest, {nearest}, has {gaps}"
    fields = {name: f"resources.{name.lower()}s_per_worker" for name in missing}
    absent = [name for name in missing if not resources.get(name)]
    lower = ", ".join("use_gpu=false" if name == "GPU" else f"less of {name}" for name in absent) or ", ".join(
        f"{fields[name]}={resources[name]:g}" for name in missing
    )
    return ClusterError(fields[missing[0]], problem, f"use {lower}, or add a node type that has it")


def gap(worker: Resources, resources: Resources) -> tuple[int, float]:
    """Return how far a node is from having room for a worker: the number of resources that it has too little of, and by which share."""
    shares = [1 - resources.get(name, 0.0) / amount for name, amount in worker.items() if resources.get(name, 0.0) < amount]
    return len(shares), sum(shares)


def outlook(demand: Demand, status: AutoscalerStatus | None, available: Mapping[str, float]) -> str:
    """Return what workers wait for, in one line. `available` is what the cluster has in all."""
    start = f"waiting for room for {demand}"
    if status and status.starting:
        nodes = " and ".join(f"{plural(count, 'node')} of type {name}" for name, count in sorted(status.starting.items()))
        return f"{start}: {nodes} {'is' if sum(status.starting.values()) == 1 else 'are'} being started"
    if status and status.failures:
        reasons = "; ".join(f"{name}: {' '.join(reason.split())[:MAX_REASON]}" for name, reason in sorted(status.failures.items()))
        return f"{start}: nodes cannot be started ({reasons})"
    return f"{start}; the cluster now has {amounts({name: available.get(name, 0) for name in demand.worker})} in all"


def amounts(resources: Resources) -> str:
    """Return amounts of resources as a message has them: "4 CPU and 1 GPU"."""
    return " and ".join(f"{amount:g} {name}" for name, amount in resources.items())
