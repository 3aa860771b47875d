"""Waiting for room: the autoscaler is asked for it, the user told what is waited for, and what can never come is an error."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable

import ray

from ganray.cluster.autoscaling.demand import Demand, InfeasibleWatch, check_satisfiable, outlook
from ganray.cluster.autoscaling.node_types import find_growth
from ganray.cluster.autoscaling.status import read_status
from ganray.cluster.placement import RoomWatch

logger = logging.getLogger(__name__)

AT_ONCE_S = 1.0  # within which Ray places workers where there is room
LOOK_EVERY_S = 0.5
PATIENCE_S = 45.0  # after which what is waited for is logged as well, for those who see no stages


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
