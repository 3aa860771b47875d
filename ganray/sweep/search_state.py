"""How a search stands: its trials, what it waits for, why it was closed. Shared by Tune's thread and the driver's."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Any

from ganray.config import Job
from ganray.runs.trials import TrialStatus, rank_key, write_trials
from ganray.sweep.journal import Event, Journal, Trials, stop
from ganray.sweep.work_queue import Snapshot

logger = logging.getLogger(__name__)


class SweepEnd(StrEnum):
    """Why a search ended. All but `DONE` can go on another time: with a higher limit, or after an interruption by the same command."""

    DONE = "done"
    MAX_IMAGES = "max_images"
    MAX_HOURS = "max_hours"
    INTERRUPTED = "interrupted"


class SearchState:
    """The state of a search. `tick`, `watch`, `close` and `settle` are for the driver. `ask` calls a method of the work queue."""

    def __init__(self, job: Job, journal: Journal, trials: Trials, *, ask: Callable[..., Any]) -> None:
        self.job, self.sweep, self.journal, self.store, self.trials, self.ask = job, job.required_sweep, journal, journal.store, trials, ask
        self.num_trials = self.sweep.num_trials
        self.places = 1  # trials that may be under way at once
        self.num_pieces = 0  # that are being trained or wait for workers
        self.closed: SweepEnd | None = None
        self.is_over = False  # Tune is to end all that is left
        self.is_live = False  # all that the journal holds was replayed
        self.failure: BaseException | None = None
        self.written: Any = None  # what the trials stood like when they were written, of which there may be many: a tick does
        self.lock = threading.RLock()

    @property
    def num_active(self) -> int:
        """How many trials are being trained or wait for workers."""
        return sum(trial.status.is_active for trial in self.trials.all)

    @property
    def demand(self) -> int:
        """How many worker groups there is work for."""
        if self.closed:
            return self.num_pieces if self.closed == SweepEnd.MAX_IMAGES else 0
        num_new = self.num_trials - len(self.trials.all)
        return num_new + (self.num_pieces if self.is_live else sum(not trial.status.is_over for trial in self.trials.all))

    @property
    def is_exhausted(self) -> bool:
        """Whether there will be no new trial and none is under way."""
        return self.is_live and not self.closed and len(self.trials.all) >= self.num_trials and self.num_active == 0

    # For the driver

    def tick(self) -> bool:
        """Take in how the queue stands, and return whether no piece is under way, nor wanted by a trial that may train."""
        snapshot: Snapshot = self.ask("snapshot")
        self.num_pieces = len(snapshot.pieces)
        with self.lock:
            for piece in snapshot.pieces:
                trial = self.trials.all[piece.trial]
                if piece.index == trial.num_pieces and not trial.status.is_over:
                    is_running = (piece.trial, piece.index) in snapshot.running
                    trial.status, trial.budget = TrialStatus.RUNNING if is_running else TrialStatus.WAITING, piece.budget
            for number, reason, goes_on in snapshot.failures:
                self.trials.all[number].failures += 1
                what = "it goes on from its last checkpoint" if goes_on else "it is given up"
                logger.warning("trial %04d: %s; %s", number, reason, what)
            if self.written != (now := (len(self.journal.events), [(trial.status, trial.failures) for trial in self.trials.all])):
                write_trials(self.store, self.trials.all)
                self.written = now
        if snapshot.refused:
            self.close(SweepEnd.MAX_IMAGES)
        begun = {trial.number for trial in self.trials.all if trial.status.is_active} if self.closed == SweepEnd.MAX_IMAGES else set()
        return snapshot.is_idle and begun <= snapshot.refused

    def watch(self, number: int, images: int, score: float | None) -> None:
        """Show how far a trial is that is being trained; what comes late, after its report, is old."""
        with self.lock:
            trial = self.trials.all[number]
            if trial.status == TrialStatus.RUNNING:
                trial.images = max(trial.images, images)
                trial.score = min(trial.score, score, key=lambda value: rank_key(value, maximise=self.sweep.maximise))

    def close(self, why: SweepEnd) -> None:
        """Start nothing more."""
        self.closed = self.closed or why

    def settle(self) -> None:
        """Write the trials down as they are left: none is being trained, and once the search is done, none can be promoted."""
        with self.lock:
            for trial in self.trials.all:
                if trial.status == TrialStatus.RUNNING:
                    trial.status = TrialStatus.WAITING
                elif trial.status == TrialStatus.PAUSED and not self.closed:
                    stop(trial, time.time())
            write_trials(self.store, self.trials.all)

    def can_afford(self, images: int) -> bool:
        """Return whether so many images more stay within the sweep's, and close the search if not."""
        committed = sum(trial.budget if trial.status.is_active else trial.images for trial in self.trials.all)
        if committed + images > (self.sweep.max_images or float("inf")):
            self.close(SweepEnd.MAX_IMAGES)
        return self.closed is None

    @contextlib.contextmanager
    def guarded(self) -> Iterator[None]:
        """Keep what is raised in the block: Tune passes its text on, but not the error."""
        try:
            yield
        except BaseException as error:
            self.failure = self.failure or error
            raise

    def meet(self, event: Event) -> None:
        """Count the expected event as met, or write a new one down."""
        if self.journal.expected is not None:
            self.journal.num_met += 1
            return
        with self.lock:
            self.journal.append(event)
            self.trials.apply(event)
