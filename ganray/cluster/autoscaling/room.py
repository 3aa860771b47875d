"""How many workers nodes have room for: those that there are, and those that an autoscaler may start."""

from collections.abc import Iterable, Mapping

from ganray.cluster.autoscaling.node_types import Growth
from ganray.cluster.autoscaling.status import ClusterNode

Resources = Mapping[str, float]  # amounts by Ray's names: "CPU", "GPU"


def count_workers(nodes: Iterable[Resources], worker: Resources) -> int:
    """Return how many workers fit on nodes at once, each wholly on one node; fractions of a GPU do not span GPUs."""
    return sum(min(_multiples(node.get(name, 0.0), amount) for name, amount in worker.items()) for node in nodes)


def max_workers(nodes: Iterable[ClusterNode], growth: Growth | None, worker: Resources) -> int:
    """Return how many workers a cluster has room for at most: its nodes as they are, or the best that its autoscaler may start."""
    nodes = list(nodes)
    now = count_workers([node.resources for node in nodes], worker)
    if growth is None:
        return now
    names = {kind.name for kind in growth.types}
    grown = count_workers([node.resources for node in nodes if node.type not in names], worker)
    left = growth.max_nodes
    for each, most in sorted(((count_workers([kind.resources], worker), kind.max_nodes) for kind in growth.types), reverse=True):
        grown += each * min(most, left)
        left -= min(most, left)
    return max(now, grown)


def _multiples(available: float, amount: float) -> int:
    """Return how often an amount fits; an amount below 1 is placed within whole units, as Ray places fractions of a GPU."""
    if 0 < amount < 1:
        return int(available) * int(1 / amount + 1e-9) + int((available % 1) / amount + 1e-9)
    return int(available / amount + 1e-9)
