"""The event recorder of a driver: notices what happens to a run, and writes it to the run's event log from a thread.

Neither a slow store nor an outage delays training, and no event that cannot be written ends it.
"""

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from ganray.cluster.process import own_identity
from ganray.cluster.prometheus import RunMetrics
from ganray.errors import GanrayError, RunLocked
from ganray.logs import set_log_context
from ganray.runs.checkpoint import Checkpoint
from ganray.runs.event_log import EventKind, RunEvent
from ganray.runs.metrics_log import RECOVERY, newest_images, part_name
from ganray.runs.run import Run
from ganray.train.progress import LOST, NODES, STARTED

logger = logging.getLogger(__name__)

CLOSE_S = 15.0  # that the end of a run waits for events that are still to be written


@dataclass(frozen=True)
class Recovery:
    """Training went on after something had died: seconds without training, None where the driver had died, and images trained again."""

    seconds: float | None
    images_again: int


def record_event(run: Run, event: RunEvent) -> None:
    """Write an event, or log that it could not be written."""
    try:
        run.append_event(event)
    except RunLocked:  # of which the driver tells
        pass
    except (GanrayError, OSError) as error:
        logger.warning("an event of run %s could not be written (%s)", run.name, error)


class EventRecorder:
    """Records the events of one driver. While it trains, `look` is to be called with the newest metrics again and again.

    `recoveries` are those that this driver has seen. They and all other metrics go to `prometheus`, too.
    """

    def __init__(self, run: Run, prometheus: RunMetrics | None = None) -> None:
        self.run, self.prometheus = run, prometheus
        self.images_seen = self.attempt = 0
        self.recoveries: list[Recovery] = []
        self.workers: int | None = None
        self.trained_at: float | None = None  # when training was last seen to go on, None before it began
        self.interrupted = self.has_started = self.has_ended = False
        self.after_kill: Recovery | None = None  # where the driver before was killed, until training goes on
        self.seen: dict[str, Any] = {}  # what `look` has taken in of LOST and STARTED
        self.tasks: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self.thread = threading.Thread(target=self._work, name="event recorder", daemon=True)

    def __enter__(self) -> Self:
        set_log_context(run=self.run.name)
        self.thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error and self.has_started and not self.has_ended:
            self.end("interrupted" if isinstance(error, KeyboardInterrupt) else "error", message=str(error) or type(error).__name__)
        self.close()  # of a run that never began, as where its data cannot be read, nothing is written

    def start(self, checkpoint: Checkpoint | None) -> None:
        """Record that this driver begins or resumes the run."""
        self.has_started = True
        if checkpoint:
            self.images_seen, self.attempt = checkpoint.images_seen, checkpoint.attempt
        set_log_context(attempt=self.attempt)
        position, now = (self.images_seen, self.attempt), time.time()
        self.tasks.put(lambda: self._start(*position, now))

    def look(self, metrics: Mapping[str, Any]) -> None:
        """Take in the newest metrics: whether something died, whether training began or goes on."""
        started, lost = metrics.get(STARTED), metrics.get(LOST)
        if lost and lost != self.seen.get(LOST):
            self.seen[LOST] = lost
            self.lose(lost["message"], lost["time"])
        if started and started != self.seen.get(STARTED):
            self.seen[STARTED] = started
            self._train(started, len(metrics[NODES]))
        if self.prometheus:
            self.prometheus.update(metrics, workers=len(metrics.get(NODES, ())))
        images_seen = metrics.get("images_seen", self.images_seen)
        if images_seen > self.images_seen and started:
            self.images_seen, self.trained_at = images_seen, time.time()

    def lose(self, message: str, when: float | None = None) -> None:
        """Record that a worker, or what starts them, died."""
        self.interrupted = True
        self.record(EventKind.LOST_WORKER, when, message=message)

    def move(self, message: str) -> None:
        """Record that workers were asked to start elsewhere, or in another number."""
        self.record(EventKind.MOVE, message=message)

    def end(self, reason: str, **details: Any) -> None:
        """Record that this driver is done with the run, and why."""
        self.has_ended = True
        self.record(EventKind.END, reason=reason, **details)

    def record(self, kind: EventKind, when: float | None = None, **details: Any) -> None:
        """Record an event where the run stands now."""
        event = RunEvent(kind, self.images_seen, self.attempt, details, when or time.time())
        data = {"event": kind.value, "images_seen": self.images_seen, **details}
        logger.info("%s at %d images", kind.value.replace("_", " "), self.images_seen, extra={"data": data})
        self.tasks.put(lambda: record_event(self.run, event))

    def close(self) -> None:
        """Wait for what is still to be written, but not for long."""
        if self.has_started:
            self.tasks.put(self._fold)
        self.tasks.put(None)
        self.thread.join(CLOSE_S)

    def _work(self) -> None:
        while task := self.tasks.get():
            task()

    def _start(self, images_seen: int, attempt: int, when: float) -> None:
        """Write the start, and find whether the driver before was killed, and how many images it had trained since the checkpoint."""
        identity = own_identity()
        details: dict[str, Any] = {"driver": f"{identity['host']}:{identity['pid']}"}
        with contextlib.suppress(GanrayError, OSError):
            before = [event.kind for event in self.run.events() if event.kind in (EventKind.START, EventKind.END)]
            if before and before[-1] == EventKind.START:
                self.after_kill = Recovery(None, max(newest_images(self.run.store, attempt=attempt) - images_seen, 0))
                details["after_kill"] = True
        record_event(self.run, RunEvent(EventKind.START, images_seen, attempt, details, when))

    def _train(self, started: Mapping[str, Any], workers: int) -> None:
        """Record that workers train from now on, and what it means after what happened before."""
        seconds = round(started["time"] - self.trained_at, 3) if self.trained_at else None
        recovery = Recovery(seconds, max(self.images_seen - started["images_seen"], 0)) if self.interrupted else None
        self.images_seen, self.attempt, self.trained_at = started["images_seen"], started["attempt"], started["time"]
        set_log_context(attempt=self.attempt)
        how = {"workers": workers} | ({} if seconds is None else {"seconds": seconds})
        self.record(EventKind.TRAINING, started["time"], **how)
        if self.workers not in (None, workers):
            self.record(EventKind.RESIZE, started["time"], before=self.workers, **how)
        position = (self.images_seen, self.attempt)
        self.tasks.put(lambda: self._recover(recovery, *position, workers))
        self.workers, self.interrupted = workers, False

    def _recover(self, recovery: Recovery | None, images_seen: int, attempt: int, workers: int) -> None:
        """Write that training goes on after something had died, if so, as an event and in the metrics log."""
        recovery, self.after_kill = recovery or self.after_kill, None
        if recovery is None:
            return
        self.recoveries.append(recovery)
        if self.prometheus:
            self.prometheus.recover(recovery.seconds, recovery.images_again)
        found = {name: value for name, value in vars(recovery).items() if value is not None}
        event = RunEvent(EventKind.RECOVERY, images_seen, attempt, {"workers": workers, **found})
        record_event(self.run, event)
        values = {f"recovery/{name}": value for name, value in found.items()}
        record = {"kind": RECOVERY, "images_seen": images_seen, "attempt": attempt, "time": event.time, **values}
        with contextlib.suppress(GanrayError, OSError):
            part = part_name(attempt, images_seen, writer=f"{RECOVERY}-{int(event.time * 1000)}")
            self.run.write_metrics(part, [record])

    def _fold(self) -> None:
        with contextlib.suppress(GanrayError, OSError):
            self.run.fold_events()
