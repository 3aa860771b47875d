"""The background publisher: publishes each new best while training goes on, in a thread of the driver, so that no worker waits for it."""

import contextlib
import logging
import threading
from collections.abc import Iterator

from ganray.config import Job
from ganray.runs.run import Run
from ganray.train.publish import publish_while_training

logger = logging.getLogger(__name__)

POLL_S = 5.0  # between listings of the run's checkpoints
RETRY_POLLS = 12  # that are left out after a publication that failed


@contextlib.contextmanager
def publishing_in_background(run: Run, job: Job) -> Iterator[None]:
    """While the block runs, have new bests published as the job asks for."""
    if not (job.publish.auto and job.publish.every):
        yield
        return
    publisher = BackgroundPublisher(run, job)
    publisher.start()
    try:
        yield
    finally:
        publisher.close()


class BackgroundPublisher(threading.Thread):
    """Publishes the run's best once it is new, at most every `publish.every` images of training."""

    def __init__(self, run: Run, job: Job, *, poll_s: float = POLL_S) -> None:
        super().__init__(name="background publisher", daemon=True)
        self.run_record, self.job, self.poll_s = run, job, poll_s
        best = run.checkpoints.best_score()
        self.published_at = best.images_seen if best else 0
        self.published: str | None = None
        self.warned: str | None = None  # the error that the user was told last
        self.closed = threading.Event()

    def close(self) -> None:
        """Begin no other publication, and wait for the one that is under way."""
        self.closed.set()
        self.join()

    def run(self) -> None:
        """Look at the run's checkpoints again and again."""
        while not self.closed.wait(self.poll_s):
            try:
                self._publish_if_due()
            except Exception as error:  # training goes on, and the end publishes again, where errors count
                if str(error) != self.warned:
                    logger.warning("the best so far could not be published (%s); it will be tried again", error)
                self.warned = str(error)
                self.closed.wait(RETRY_POLLS * self.poll_s)

    def _publish_if_due(self) -> None:
        names = self.run_record.checkpoints.names()
        images_seen = int(names[-1].split("-")[1]) if names else 0
        if images_seen - self.published_at < self.job.publish.every:
            return
        best = self.run_record.checkpoints.best_score()
        if best is None or best.checkpoint == self.published:
            return
        self.run_record.check_fence()
        logger.warning("published  %s", publish_while_training(self.run_record, self.job))
        self.published_at, self.published = images_seen, best.checkpoint
