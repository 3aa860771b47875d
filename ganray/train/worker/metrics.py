"""The metrics logger of a worker: statistics summed on the device, averaged over ranks at intervals, and written down by rank 0.

Logging is also where all ranks decide together whether to stop: what only rank 0 knows travels with the averages.
"""

import dataclasses
import logging
import time
from typing import Any

import torch
from torch import Tensor

from ganray.cluster.placement import this_node
from ganray.config.training import Seconds
from ganray.errors import plural
from ganray.gan.distributed import gather_values, rank, reduce_mean, world_size
from ganray.gan.state import GanState
from ganray.gan.stats import STATS
from ganray.metrics.score import Score
from ganray.runs.status import EndReason, Progress
from ganray.train.context import WorkerContext
from ganray.train.progress import NODES, STARTED, ProgressClient
from ganray.train.worker.batches import BatchLoader
from ganray.train.worker.checkpoint_writer import CheckpointWriter
from ganray.train.worker.divergence import SKIPPED, DivergenceMonitor, Event

logger = logging.getLogger(__name__)

SHOW_EVERY_S = 0.5


class MetricsLogger:
    """Sums up steps since the last line of metrics. `ended` is None while the run goes on, then why it ends, on every rank.

    `writer` is rank 0's, None on others.
    """

    def __init__(
        self, context: WorkerContext, state: GanState, batches: BatchLoader, writer: CheckpointWriter | None, start: Progress
    ) -> None:
        self.train, self.state, self.batches, self.writer = context.job.train, state, batches, writer
        self.total_images = context.total_images
        self.checkpoint_s = self.train.checkpoint_every.seconds if isinstance(self.train.checkpoint_every, Seconds) else float("inf")
        self.client = ProgressClient(context.progress_actor)
        self.trained_s = start.trained_s
        self.ended = EndReason.DONE if state.images_seen >= self.total_images else None
        self.monitor = DivergenceMonitor(context.job.divergence, start.monitor)
        self.is_checkpoint_due, self.checkpointed_s = False, start.trained_s
        self.shown_at = time.monotonic()
        self.restart_clock()
        self._write_workers(context)

    def _write_workers(self, context: WorkerContext) -> None:
        """Tell how many workers train, and write it down where that may change while the run trains."""
        nodes = gather_values(this_node())
        if rank() == 0:
            started = {"time": time.time(), "images_seen": self.state.images_seen, "attempt": self.state.attempt}
            self.client.push(**{NODES: nodes, STARTED: started, "images_seen": self.state.images_seen})
        if context.job.min_workers < context.job.max_workers:
            message = f"training on {plural(world_size(), 'worker')} of {context.job.min_workers} to {context.job.max_workers}"
            self.write_events([Event("workers", message)])

    def add(self, stats: Tensor) -> None:
        """Add a step's statistics, without waiting for the device."""
        self.sums += stats
        self.steps += 1
        if self.state.images_seen >= self.total_images:
            self.ended = EndReason.DONE
        if rank() == 0 and time.monotonic() - self.shown_at > SHOW_EVERY_S:
            self.shown_at = time.monotonic()
            self.client.push(images_seen=self.state.images_seen)

    def log(self) -> None:
        """Write a line of metrics, the means over ranks and steps since the last one, and decide whether to stop. A collective."""
        if self.sums.is_cuda:
            torch.cuda.synchronize(self.sums.device)
        elapsed = time.monotonic() - self.since
        time_is_up = self.trained_s + elapsed >= (self.train.max_seconds or float("inf"))
        checkpoint_is_due = self.client.checkpoint_requested or self.trained_s + elapsed - self.checkpointed_s >= self.checkpoint_s
        of_rank_zero = torch.tensor([elapsed, time_is_up, checkpoint_is_due, self.client.stop_requested, self.monitor.state.collapsed])
        own = torch.cat([self.sums / max(self.steps, 1), (of_rank_zero if rank() == 0 else torch.zeros_like(of_rank_zero)).to(self.sums)])
        *means, skipped, _, time_is_up, checkpoint_is_due, stop_requested, collapsed = reduce_mean(own).tolist()
        self.trained_s += elapsed
        self.is_checkpoint_due = checkpoint_is_due > 0
        taken = {name: mean / (1 - skipped) for name, mean in zip(STATS, means, strict=True)} if skipped < 1 else {}
        line = taken | {SKIPPED: skipped}
        self.write("train", line | self._times(elapsed))
        self.ended = self.ended or _first(
            {EndReason.TIME_LIMIT: time_is_up, EndReason.INTERRUPTED: stop_requested, EndReason.COLLAPSED: collapsed}
        )
        if self.steps:
            self.write_events(self.monitor.check_metrics(line, self.state.images_seen))
        self.restart_clock()

    def log_scores(self, score: Score) -> None:
        """Write what an evaluation found, on rank 0; if it ends the run, all ranks hear of it at the next line of metrics."""
        self.write("score", {**score.scores, "protocol": score.protocol.dump()})
        events = self.monitor.check_scores(score.scores, self.state.images_seen)
        self.write_events([dataclasses.replace(event, ends=None) for event in events])

    def write_events(self, events: list[Event]) -> None:
        """Write what went wrong, and end the run for what ends it."""
        for event in events:
            self.ended = event.ends or self.ended
            if rank() == 0:
                self.write("event", {"event": event.name, "message": event.message})
                self.client.warn(event.message)

    def write(self, kind: str, values: dict[str, Any]) -> None:
        """Write a record to the metrics log, which its uploader takes, and show it."""
        if self.writer:
            place = {"images_seen": self.state.images_seen, "attempt": self.state.attempt}
            self.writer.metrics.add({"kind": kind, "time": round(time.time(), 3), **place, **values})
            self.client.push(images_seen=self.state.images_seen, **values)
            logger.info("%s at %d images", kind, self.state.images_seen, extra={"data": values})

    def note_checkpoint(self) -> None:
        """Count the seconds until the next checkpoint by the clock from now on; one that was requested is there."""
        self.checkpointed_s, self.client.checkpoint_requested = self.trained_s, False

    def restart_clock(self) -> None:
        """Begin an interval now: what happened since the last `log` is not training time."""
        self.sums = torch.zeros(len(STATS) + 1, device=next(self.state.generator.parameters()).device)
        self.steps, self.since, self.waited_before = 0, time.monotonic(), self.batches.waited_s

    def _times(self, elapsed: float) -> dict[str, float]:
        images = self.steps * self.train.batch_size
        waited = self.batches.waited_s - self.waited_before
        times = {"time/images_per_s": images / elapsed, "time/data_wait_share": waited / elapsed, "time/trained_s": self.trained_s}
        return times | (self.writer.times if self.writer else {})


def _first(reasons: dict[EndReason, float]) -> EndReason | None:
    return next((reason for reason, holds in reasons.items() if holds), None)
