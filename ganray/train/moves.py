"""Moves of a run's workers, watched by its driver: off nodes that are about to leave, and to more places where an elastic run can grow.

For a move the workers are asked to checkpoint and end, so that nothing is trained twice when they start again. Where there is no room
elsewhere for those of a leaving node, they train on until shortly before it leaves, and checkpoint now and then.
"""

import logging
import time
from typing import Self

from ganray.cluster.capacity import worker_resources
from ganray.cluster.placement import RoomWatch, draining_nodes
from ganray.config import Job
from ganray.config.training import useful_workers
from ganray.errors import plural

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0  # for nodes that are about to leave
CHECKPOINT_EVERY_S = 30.0  # on a node that is about to leave
LEAVE_BEFORE_S = 15.0  # that workers have for a checkpoint, from the line of metrics on at which they hear of it
LINES = 2.0  # intervals between lines of metrics that pass until then, at most


class MoveWatch:
    """Watches, while workers train, for a reason to move. `reason` is None until there is one.

    `checkpoint_requests` counts how often the workers have been asked for a checkpoint until then.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.reason: str | None = None
        self.checkpoint_requests = 0
        self.room: RoomWatch | None = None  # for more workers
        self.elsewhere: RoomWatch | None = None  # for those of leaving nodes
        self.looked = self.requested = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for room in (self.room, self.elsewhere):
            if room:
                room.close()

    @property
    def is_due(self) -> bool:
        """Whether workers shall move."""
        return self.reason is not None

    def look(self, nodes: list[str] | None, *, images_per_s: float | None = None) -> None:
        """Take in on which node each worker trains, None before they do: earlier, the room that they start in would be taken from them."""
        if nodes is None or self.is_due:
            return
        self.reason = self._leaving(nodes, images_per_s) or self._growing(len(nodes))
        if self.reason:
            logger.warning("%s after a checkpoint", self.reason)

    def _leaving(self, nodes: list[str], images_per_s: float | None) -> str | None:
        """Return why workers have to leave now, if a node of theirs is being drained, as after a spot notice."""
        if time.monotonic() - self.looked < LOOK_EVERY_S:
            return None
        self.looked = time.monotonic()
        leaving = {node: deadline for node, deadline in draining_nodes().items() if node in nodes}
        if not leaving:
            return None
        who, deadline = f"{plural(len(leaving), 'node')} of this run will leave the cluster", min(leaving.values())
        missing = self.job.min_workers - sum(node not in leaving for node in nodes)
        if missing <= 0 or not deadline or self._has_room_elsewhere(missing):
            return f"{who}; going on elsewhere"
        interval_s = self.job.train.log_every / images_per_s if images_per_s else 0.0
        left_s = deadline - time.time() - LEAVE_BEFORE_S - LINES * interval_s
        if left_s <= 0:
            return f"{who}, and there is no room elsewhere; waiting for some"
        self._request_checkpoints(f"{who}, and there is no room elsewhere; training on for {left_s:.0f} s")
        return None

    def _has_room_elsewhere(self, workers: int) -> bool:
        """Return whether so many workers could be placed beside those that stay; the autoscaler is asked for it."""
        if self.elsewhere is None:
            self.elsewhere = RoomWatch(worker_resources(self.job), workers)
        return self.elsewhere.has_room()

    def _request_checkpoints(self, why: str) -> None:
        """Ask for a checkpoint at once, and again and again."""
        if not self.checkpoint_requests:
            logger.warning("%s", why)
        if not self.checkpoint_requests or time.monotonic() - self.requested > CHECKPOINT_EVERY_S:
            self.checkpoint_requests, self.requested = self.checkpoint_requests + 1, time.monotonic()

    def _growing(self, workers: int) -> str | None:
        """Return that there is room for so many more workers that a step gets faster, where the run may have more than it has."""
        if self.room is None and (more := self._next_useful(workers) - workers) > 0:
            self.room = RoomWatch(worker_resources(self.job), more)
        if self.room and self.room.has_room():
            return f"there is room for more than {plural(workers, 'worker')}; going on with more"
        return None

    def _next_useful(self, workers: int) -> int:
        """Return the next number of workers, up to the job's most, that step faster."""
        batch = {"batch_size": self.job.train.batch_size, "ghost_batch": self.job.networks.ghost_batch}
        counts = range(workers + 1, self.job.max_workers + 1)
        return next((count for count in counts if useful_workers(count, **batch) == count), workers)
