"""Publishing while training goes on: each new best, in a thread of the driver, so that no worker waits for it."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

from ganray.config import Job
from ganray.data.dataset import PreparedDataset
from ganray.storage import ObjectStore
from ganray.train.publish import best_so_far, publish_meanwhile
from ganray.train.reporter import Reporter

POLL_S = 5.0  # between looks at the store, once enough images have been seen
RETRY_POLLS = 12  # that are left out after a publication that failed


@contextlib.contextmanager
def publishing_meanwhile(job: Job, run: ObjectStore, prepared: PreparedDataset, reporter: Reporter) -> Iterator[Reporter]:
    """Give a reporter that, while the block runs, has new bests published as the job asks for."""
    if not (job.publish.auto and job.publish.every):
        yield reporter
        return
    best = best_so_far(run)
    publisher = BestPublisher(
        lambda: best_so_far(run),
        lambda: publish_meanwhile(job, run, prepared),
        every=job.publish.every,
        since=best["images_seen"] if best else 0,
        say=reporter.say,
    )
    try:
        yield PublishingReporter(reporter, publisher)
    finally:
        publisher.close()


class BestPublisher:
    """A thread that publishes what `find_best` finds once it is new, at most every so many images since `since`."""

    def __init__(
        self,
        find_best: Callable[[], dict[str, Any] | None],
        publish: Callable[[], str],
        *,
        every: int,
        since: int,
        say: Callable[[str], None],
        poll_s: float = POLL_S,
    ) -> None:
        self.find_best, self.publish, self.every, self.say, self.poll_s = find_best, publish, every, say, poll_s
        self.images_seen = self.published_at = since
        self.published: str | None = None
        self.closed = threading.Event()
        self.thread = threading.Thread(target=self._publish_until_closed, name="publish meanwhile", daemon=True)
        self.thread.start()

    def notice(self, progress: dict[str, Any]) -> None:
        """Hear how training stands, without waiting for anything."""
        self.images_seen = progress.get("images_seen", self.images_seen)

    def close(self) -> None:
        """Begin no other publication, and wait for the one that is under way."""
        self.closed.set()
        self.thread.join()

    def _publish_until_closed(self) -> None:
        while not self.closed.wait(self.poll_s):
            if self.images_seen - self.published_at >= self.every:
                self._publish_what_is_new()

    def _publish_what_is_new(self) -> None:
        images_seen = self.images_seen
        try:
            best = self.find_best()
            if best is None or best["checkpoint"] == self.published:
                return
            self.say(f"published  {self.publish()}")
        except Exception as error:  # training goes on, and the end publishes again, where errors count
            self.say(f"the best so far could not be published ({error}); it will be tried again")
            self.closed.wait(RETRY_POLLS * self.poll_s)
        else:
            self.published_at, self.published = images_seen, best["checkpoint"]


class PublishingReporter:
    """Tells a publisher what a reporter is told."""

    def __init__(self, reporter: Reporter, publisher: BestPublisher) -> None:
        self.reporter, self.publisher = reporter, publisher
        self.stage, self.advance, self.say = reporter.stage, reporter.advance, reporter.say

    def training(self, progress: dict[str, Any]) -> None:
        self.publisher.notice(progress)
        self.reporter.training(progress)
