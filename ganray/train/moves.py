"""Moves of a run's workers, watched by its driver: off nodes that are about to leave, and to more places where an elastic run can grow.

For a move the workers are asked to checkpoint and end, so that nothing is trained twice when they start again.
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


class MoveWatch:
    """Watches, while workers train, for a reason to move. `reason` is None until there is one."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.reason: str | None = None
        self.room: RoomWatch | None = None
        self.looked = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.room:
            self.room.close()

    @property
    def is_due(self) -> bool:
        """Whether workers shall move."""
        return self.reason is not None

    def look(self, nodes: list[str] | None) -> None:
        """Take in on which node each worker trains, None before they do: earlier, the room that they start in would be taken from them."""
        if nodes is None or self.is_due:
            return
        self.reason = self._leaving(nodes) or self._growing(len(nodes))
        if self.reason:
            logger.warning("%s after a checkpoint", self.reason)

    def _leaving(self, nodes: list[str]) -> str | None:
        """Return why workers have to leave, if a node of theirs is being drained, as after a spot notice."""
        if time.monotonic() - self.looked < LOOK_EVERY_S:
            return None
        self.looked = time.monotonic()
        leaving = draining_nodes() & set(nodes)
        return f"{plural(len(leaving), 'node')} of this run will leave the cluster; going on elsewhere" if leaving else None

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
