"""The pool of worker groups: Ray Train trainers in threads of the driver, as many as there is work and room for."""

import itertools
import logging
import threading
import time
from dataclasses import replace
from functools import partial
from typing import Any

import ray

from ganray.cluster.background import BackgroundCall
from ganray.errors import ClusterError
from ganray.sweep.search_state import SearchState
from ganray.sweep.work_queue import ask
from ganray.sweep.worker_group import train_pieces
from ganray.train.context import WorkerContext
from ganray.train.progress import start_progress_actor
from ganray.train.reporter import SnapshotReporter
from ganray.train.trainer import fit
from ganray.train.worker.loop import train_worker

logger = logging.getLogger(__name__)

GRACE_S = 3.0  # for groups to leave once nothing is left to do: workers do at once, Ray Train's controllers take longer


class WorkerGroups:
    """The groups by name. One that has waited in vain for a piece leaves; one whose workers died too often is replaced."""

    def __init__(self, context: WorkerContext, queue: Any, search: SearchState) -> None:
        self.context, self.queue, self.search = context, queue, search
        self.calls: dict[str, BackgroundCall] = {}
        self.progress_actors: dict[str, Any] = {}
        self.numbers = itertools.count()
        self.num_broken = self.num_reports = 0
        self.no_signal = threading.Event()  # never set: signals are the driver's

    def adjust(self, wanted: int) -> None:
        """Start groups up to a number. Raises `ClusterError` if groups fail one after another without finishing a piece."""
        if (num_reports := sum(trial.num_pieces for trial in self.search.trials.all)) > self.num_reports:
            self.num_reports, self.num_broken = num_reports, 0
        for name, call in list(self.calls.items()):
            if not call.is_alive():
                del self.calls[name], self.progress_actors[name]
                if call.error:
                    self._take_loss(name, call.error)
        while len(self.calls) < wanted:
            name = f"group{next(self.numbers)}"
            self.progress_actors[name] = start_progress_actor(f"sweep {self.context.job.name}, {name}")
            self.calls[name] = BackgroundCall(partial(self._serve, name), name=name)
            self.calls[name].start()

    def request_stop(self) -> None:
        """Ask all groups to checkpoint and end their pieces."""
        for actor in list(self.progress_actors.values()):
            actor.request_stop.remote()

    def close(self) -> None:
        """Let all groups leave."""
        ask(self.queue, "close")
        until = time.monotonic() + GRACE_S
        for call in self.calls.values():
            call.join(max(until - time.monotonic(), 0.0))

    def kill(self) -> None:
        """End what belongs to groups in any case; workers whose queue is gone end by themselves."""
        for actor in self.progress_actors.values():
            ray.kill(actor)

    def _watch(self, snapshot: dict[str, Any]) -> None:
        """Pass on how far the trial is that a group trains."""
        if snapshot.get("trial") is not None:
            self.search.watch(snapshot["trial"], snapshot.get("images_seen", 0), snapshot.get(self.search.sweep.metric))

    def _take_loss(self, name: str, error: BaseException) -> None:
        ask(self.queue, "lose", name)
        self.num_broken += 1
        if self.num_broken > self.context.job.train.max_failures + 1:
            problem = f"worker groups failed {self.num_broken} times in a row, the last time with: {error}"
            raise ClusterError("sweep", problem, "look at Ray's logs; the same command goes on from there") from error
        logger.warning("a worker group failed (%s); another takes its place", error)

    def _serve(self, name: str) -> None:
        queue, context = self.queue, replace(self.context, progress_actor=self.progress_actors[name])
        reporter = SnapshotReporter(self._watch)
        if context.resident is not None:
            fit(context, reporter, self.no_signal, lambda own: train_pieces(own, queue, name, train_worker))
        else:  # pieces with workers of their own each, from this thread: a stream of data belongs to one run
            train_pieces(context, queue, name, lambda own: fit(own, reporter, self.no_signal))
