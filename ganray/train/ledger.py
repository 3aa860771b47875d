"""The running account of a run on each rank: statistics summed on the device, shared and written down every so many images."""

import math
import time
from typing import Any

import torch
from torch import Tensor

from ganray.config import UserError
from ganray.gan.state import GanState
from ganray.gan.step import STATS
from ganray.train.collective import rank, reduce_mean
from ganray.train.feed import Feed
from ganray.train.monitor import MonitorClient
from ganray.train.setup import WorkerSetup

SHOW_EVERY_S = 0.5


class Ledger:
    """Adds up steps, and decides for all ranks together when the run ends.

    `ended` is None while the run goes on, then "done" (all images), "time" (max_seconds) or "asked" (a request to stop).
    """

    def __init__(self, setup: WorkerSetup, state: GanState, feed: Feed, *, trained_s: float) -> None:
        self.train, self.state, self.feed = setup.job.train, state, feed
        self.monitor = MonitorClient(setup.monitor)
        self.trained_s = trained_s
        self.ended = "done" if state.images_seen >= self.train.total_images else None
        self.records: list[dict[str, Any]] = []
        self.shown_at = time.monotonic()
        self._start_stretch()

    def add(self, stats: Tensor) -> None:
        """Add a step's statistics, without waiting for the device."""
        self.sums += stats
        self.steps += 1
        if self.state.images_seen >= self.train.total_images:
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
            [elapsed, self.trained_s + elapsed >= (self.train.max_seconds or float("inf")), self.monitor.stop_requested]
        )
        own = torch.cat([self.sums / max(self.steps, 1), (stop_for if rank() == 0 else torch.zeros(3)).to(self.sums)])
        *means, _, time_is_up, asked = reduce_mean(own).tolist()
        if not all(math.isfinite(mean) for mean in means):
            raise self._diverged()
        self.trained_s += elapsed
        record = dict(zip(STATS, means, strict=True)) | self._times(elapsed)
        self.write("train", record)
        self.ended = self.ended or ("time" if time_is_up else "asked" if asked else None)
        self._start_stretch()

    def write(self, kind: str, values: dict[str, Any]) -> None:
        """Keep a record for the next part of the run's metrics, and show it."""
        if rank() == 0:
            self.records.append({"kind": kind, "images_seen": self.state.images_seen, **values})
            self.monitor.push(images_seen=self.state.images_seen, **values)

    def restart_clock(self) -> None:
        """Leave what happened since the last `log` out of the training time."""
        self._start_stretch()

    def _diverged(self) -> UserError:
        """Say that training has diverged: every rank raises this at the same step, since all see the same means."""
        problem = f"losses are not finite any more, at {self.state.images_seen:,} images"
        return UserError("optimizer", problem, "start a run of another name with lower learning rates or a higher penalties.r1_gamma")

    def _times(self, elapsed: float) -> dict[str, float]:
        images = self.steps * self.train.batch_size
        waited = self.feed.waited_s - self.waited_before
        return {"time/images_per_s": images / elapsed, "time/data_wait_share": waited / elapsed, "time/trained_s": self.trained_s}

    def _start_stretch(self) -> None:
        self.sums = torch.zeros(len(STATS), device=next(self.state.generator.parameters()).device)
        self.steps, self.since, self.waited_before = 0, time.monotonic(), self.feed.waited_s
