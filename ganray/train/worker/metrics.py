"""The running account of a run on each rank: statistics summed on the device, shared and written down every so many images."""

import dataclasses
import time
from typing import Any

import torch
from torch import Tensor

from ganray.gan.distributed import rank, reduce_mean
from ganray.gan.state import GanState
from ganray.gan.stats import STATS
from ganray.train.context import WorkerContext
from ganray.train.progress import MonitorClient
from ganray.train.worker.batches import BatchLoader
from ganray.train.worker.divergence import SKIPPED, DivergenceMonitor, Event

SHOW_EVERY_S = 0.5


class MetricsLogger:
    """Adds up steps, and decides for all ranks together when the run ends.

    `ended` is None while the run goes on, then "done" (all images), "time" (max_seconds), "asked" (a request to stop),
    "diverged" or "collapsed".
    """

    def __init__(self, setup: WorkerContext, state: GanState, feed: BatchLoader, *, trained_s: float) -> None:
        self.train, self.state, self.feed = setup.job.train, state, feed
        self.total_images = setup.total_images
        self.monitor = MonitorClient(setup.monitor)
        self.trained_s = trained_s
        self.ended = "done" if state.images_seen >= self.total_images else None
        self.records: list[dict[str, Any]] = []
        self.collapsed = False  # as rank 0 alone has seen from a score
        self.watch = DivergenceMonitor(setup.job.divergence, total_images=self.train.total_images)
        self.shown_at = time.monotonic()
        self._start_stretch()

    def add(self, stats: Tensor) -> None:
        """Add a step's statistics, without waiting for the device."""
        self.sums += stats
        self.steps += 1
        if self.state.images_seen >= self.total_images:
            self.ended = "done"
        if rank() == 0 and time.monotonic() - self.shown_at > SHOW_EVERY_S:
            self.shown_at = time.monotonic()
            self.monitor.push(images_seen=self.state.images_seen)

    def log(self) -> None:
        """Write down the stretch of steps since the last call, averaged over ranks, and settle whether to stop."""
        if self.sums.is_cuda:
            torch.cuda.synchronize(self.sums.device)
        elapsed = time.monotonic() - self.since
        stop_for = torch.tensor(
            [elapsed, self.trained_s + elapsed >= (self.train.max_seconds or float("inf")), self.monitor.stop_requested, self.collapsed]
        )
        own = torch.cat([self.sums / max(self.steps, 1), (stop_for if rank() == 0 else torch.zeros_like(stop_for)).to(self.sums)])
        *means, skipped, _, time_is_up, asked, collapsed = reduce_mean(own).tolist()
        self.trained_s += elapsed
        taken = {name: mean / (1 - skipped) for name, mean in zip(STATS, means, strict=True)} if skipped < 1 else {}
        record = taken | {SKIPPED: skipped}
        self.write("train", record | self._times(elapsed))
        self.ended = self.ended or ("time" if time_is_up else "asked" if asked else "collapsed" if collapsed else None)
        if self.steps:
            self.tell(self.watch.line(record, self.state.images_seen))
        self._start_stretch()

    def tell(self, events: list[Event]) -> None:
        """Write down what went wrong, and end the run for what ends it."""
        for event in events:
            self.ended = event.ends or self.ended
            if rank() == 0:
                self.write("event", {"event": event.name, "says": event.says})
                self.monitor.say(event.says)

    def judge(self, scores: dict[str, float]) -> None:
        """Take what an evaluation says, on rank 0; if it ends the run, all ranks hear of it at the next line of metrics."""
        events = self.watch.score(scores, self.state.images_seen)
        self.collapsed |= any(event.ends for event in events)
        self.tell([dataclasses.replace(event, ends=None) for event in events])

    def write(self, kind: str, values: dict[str, Any]) -> None:
        """Keep a record for the next part of the run's metrics, and show it."""
        if rank() == 0:
            self.records.append({"kind": kind, "images_seen": self.state.images_seen, "attempt": self.state.attempt, **values})
            self.monitor.push(images_seen=self.state.images_seen, **values)

    def restart_clock(self) -> None:
        """Leave what happened since the last `log` out of the training time."""
        self._start_stretch()

    def _times(self, elapsed: float) -> dict[str, float]:
        images = self.steps * self.train.batch_size
        waited = self.feed.waited_s - self.waited_before
        return {"time/images_per_s": images / elapsed, "time/data_wait_share": waited / elapsed, "time/trained_s": self.trained_s}

    def _start_stretch(self) -> None:
        self.sums = torch.zeros(len(STATS) + 1, device=next(self.state.generator.parameters()).device)
        self.steps, self.since, self.waited_before = 0, time.monotonic(), self.feed.waited_s
