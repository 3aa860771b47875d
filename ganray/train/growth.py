"""Growth of an elastic run, watched by its driver."""

import logging
from typing import Self

from ganray.cluster.capacity import worker_resources
from ganray.cluster.placement import RoomWatch
from ganray.config import Job
from ganray.config.training import useful_workers
from ganray.errors import plural

logger = logging.getLogger(__name__)


class Growth:
    """Watches, while an elastic run trains on fewer workers than it might, for room for so many more that a step gets faster.

    Once `is_due`, the workers are asked to checkpoint and end, so that nothing is trained twice when more of them start.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.is_due = False
        self.room: RoomWatch | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.room:
            self.room.close()

    def look(self, workers: int | None) -> None:
        """Take in how many workers train, None before they do: earlier, the room that they start in would be taken from them."""
        if workers is None or self.is_due:
            return
        if self.room is None and (more := self._next_useful(workers) - workers) > 0:
            self.room = RoomWatch(worker_resources(self.job), more)
        if self.room and self.room.has_room():
            self.is_due = True
            logger.warning("there is room for more than %s; going on with more after a checkpoint", plural(workers, "worker"))

    def _next_useful(self, workers: int) -> int:
        """Return the next number of workers, up to the job's most, that step faster."""
        batch = {"batch_size": self.job.train.batch_size, "ghost_batch": self.job.networks.ghost_batch}
        counts = range(workers + 1, self.job.max_workers + 1)
        return next((count for count in counts if useful_workers(count, **batch) == count), workers)
