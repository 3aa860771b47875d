"""Waiting for room: the autoscaler is asked for it, the user told what is waited for, and what can never come is an error."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable

import ray

from ganray.cluster.autoscaling.demand import Demand, check_satisfiable, outlook, too_large
from ganray.cluster.autoscaling.node_types import Growth, find_growth
from ganray.cluster.autoscaling.room import count_workers
from ganray.cluster.autoscaling.status import AutoscalerStatus, read_status
from ganray.cluster.placement import RoomWatch

logger = logging.getLogger(__name__)

AT_ONCE_S = 1.0  # within which Ray places workers where there is room
LOOK_EVERY_S = 0.5
PATIENCE_S = 45.0  # after which what is waited for is logged as well, for those who see no stages
UPDATES = 2  # of the autoscaler in which it finds no room, before that is believed


def wait_for_room(demand: Demand, stop: threading.Event, stage: Callable[[str], None]) -> None:
    """Wait until workers can be placed together; `stage` shows what for.

    Raises `ClusterError` if no node that there is or may come ever has room for them, and `KeyboardInterrupt` once `stop` is set.
    """
    with contextlib.closing(RoomWatch(demand.worker, demand.number)) as room:
        if room.has_room(AT_ONCE_S):
            return
        growth, watch, shown, has_warned = find_growth(), InfeasibleWatch(demand), "", False
        started = time.monotonic()
        while not room.has_room():
            status = read_status()
            if status:
                check_satisfiable(demand, status.nodes, growth)
                watch.look(status, growth)
            if (line := outlook(demand, status, ray.cluster_resources())) != shown:
                shown = line
                stage(line)
            if not has_warned and time.monotonic() - started > PATIENCE_S:
                has_warned = True
                logger.warning("%s", line)
            if stop.wait(LOOK_EVERY_S):
                raise KeyboardInterrupt


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
