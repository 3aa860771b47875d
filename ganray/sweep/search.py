"""The search: what Ray Tune's hooks and the driver share. It writes the journal, replays it, and holds the sweep to its limits.

Tune calls its searcher, scheduler and callbacks on one thread, in the order: scheduler decides on a result, searcher takes it in,
callbacks are told. A report is written down in the last of these, before anything follows from it.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from ganray.config import Sweep
from ganray.errors import ConfigError
from ganray.storage import ObjectStore
from ganray.sweep.journal import Cloned, Decision, Event, Journal, Promoted, Reported, Stopped, Suggested, WorkersFailed
from ganray.sweep.records import Exploit, Params, TrialStatus, write_trials
from ganray.sweep.trials import Trials
from ganray.sweep.work_queue import WorkQueue

logger = logging.getLogger(__name__)


class SweepEnd(StrEnum):
    """Why a search ended. All but `DONE` can go on another time: with a higher limit, or after an interruption by the same command."""

    DONE = "done"
    MAX_IMAGES = "max_images"
    MAX_HOURS = "max_hours"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True)
class PlannedExploit:
    """A trial that is to take over the donor's state, with params of its own."""

    trial: int
    donor: int
    params: Params


class Search:
    """The state of a search. Methods are for Tune's thread, but for `tick`, `watch` and `close`, which are the driver's."""

    def __init__(
        self,
        sweep: Sweep,
        store: ObjectStore,
        trials: Trials,
        journal: Journal,
        queue: WorkQueue,
        *,
        num_trials: int,
        clone: Callable[[dict[int, Exploit]], None],
    ) -> None:
        self.sweep, self.store, self.trials, self.num_trials = sweep, store, trials, num_trials
        self.journal, self.queue, self.clone = journal, queue, clone
        self.checkpoints = {event.trial: event.outcome.checkpoint for event in journal.events if isinstance(event, Reported)}
        self.decided: dict[int, tuple[Decision, list[PlannedExploit]]] = {}
        self.places = 1  # trials that may be under way at once
        self.num_pieces = 0  # that are being trained or wait for workers
        self.closed: SweepEnd | None = None
        self.is_over = False  # Tune is to end all that is left
        self.is_live = False  # all that the journal holds was replayed
        self.failure: BaseException | None = None
        self.has_promotion: Callable[[], bool] = lambda: False
        self.lock = threading.RLock()

    # What hooks ask

    @property
    def expected(self) -> Event | None:
        """What Tune has to do next while the journal is replayed."""
        return self.journal.expected

    @property
    def num_active(self) -> int:
        """How many trials are being trained or wait for workers."""
        return sum(trial.status in (TrialStatus.WAITING, TrialStatus.RUNNING) for trial in self.trials.all)

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

    @property
    def has_finished(self) -> bool:
        """Whether a trial has come to the end of its budget."""
        return any(trial.status == TrialStatus.FINISHED for trial in self.trials.all)

    def may_suggest(self, number: int) -> bool:
        """Return whether a new trial, of this number, is to be suggested now."""
        if not self.is_live:
            return isinstance(self.expected, Suggested)
        if self.closed or number >= self.num_trials or (self._is_limited and self.num_active >= self.places) or self.has_promotion():
            return False
        return self._can_afford(self.trials.rungs[0])

    def choose_promotion(self, candidate: Callable[[], int | None]) -> int | None:
        """Return the paused trial to promote now: what the journal says, or the candidate if there is a place for it."""
        if not self.is_live:
            return self.expected.trial if isinstance(self.expected, Promoted) else None
        if self.closed or self.num_active >= self.places or (number := candidate()) is None:
            return None
        position = self.trials.positions[number]
        return number if self._can_afford(self.trials.next_rung(position) - position) else None

    # What hooks do

    def suggest(self, number: int, params: Params) -> Params:
        """Take in a suggestion and return it, as it was written down if it was."""
        if isinstance(expected := self.expected, Suggested):
            self._check(expected.trial == number and _same(expected.params, params))
            self.journal.meet()
            params = expected.params
        else:
            self._record(Suggested(number, params, time.time()))
        self.replay()
        return params

    def promote(self, number: int) -> None:
        """Take in that a paused trial goes on."""
        if isinstance(self.expected, Promoted):
            self.journal.meet()
        else:
            self._record(Promoted(number, time.time()))
        self.replay()

    def decide(self, number: int, decision: Decision, exploits: list[PlannedExploit]) -> None:
        """Keep the scheduler's decision until the report is written down."""
        self.decided[number] = decision, exploits

    def report(self, number: int) -> None:
        """Take in that searcher and scheduler have met a trial's piece, and let those clone who are to."""
        index, (budget, outcome) = self.queue.acknowledge(number)
        decision, planned = self.decided.pop(number, (Decision.STOP, []))
        self.checkpoints[number] = outcome.checkpoint or self.checkpoints.get(number)
        if isinstance(event := self.expected, Reported):
            self._check((event.trial, event.index, event.decision) == (number, index, decision))
            self._check(
                {trial: exploit["from"] for trial, exploit in event.exploits.items()} == {plan.trial: plan.donor for plan in planned}
            )
            self.journal.meet()
        else:
            lasts = {**{trial.number: trial.last for trial in self.trials.all}, number: outcome.last}
            positions = {**dict(enumerate(self.trials.positions)), number: budget}
            exploits = {plan.trial: self._exploit(plan, positions, lasts) for plan in planned}
            event = Reported(number, index, budget, outcome, decision, exploits, time.time())
            self._record(event)
        if event.exploits and self.journal.lacks(Cloned):
            self.clone(event.exploits)
            self._record(Cloned(time.time()))
            for trial, exploit in event.exploits.items():
                self.queue.move(trial, exploit["images"])
        self.replay()

    def stop(self, number: int) -> None:
        """Take in that a trial has ended; the scheduler gives up paused ones without a report."""
        if self.trials.all[number].status == TrialStatus.PAUSED and self.is_live and not self.is_over:
            self._record(Stopped(number, time.time()))

    def replay(self) -> None:
        """Have the queue answer the next recorded report, or train, once all were replayed."""
        if self.is_live:
            return
        if isinstance(event := self.expected, Reported):
            self.queue.release(event.trial, event.index, event.budget, event.outcome)
        elif event is None:
            self.is_live = True
            self.queue.go_live()

    # What the driver does

    def tick(self) -> bool:
        """Take in how the queue stands, and return whether it is idle."""
        snapshot = self.queue.snapshot()
        self.num_pieces = len(snapshot.pieces)
        for failure in snapshot.failures:
            self._record(WorkersFailed(failure.trial, failure.reason, time.time()))
            goes_on = "it goes on from its last checkpoint" if failure.goes_on else "it is given up"
            logger.warning("trial %04d: %s; %s", failure.trial, failure.reason, goes_on)
        with self.lock:
            before = [trial.status for trial in self.trials.all]
            for piece in snapshot.pieces:
                trial = self.trials.all[piece.trial]
                if piece.index == self.trials.num_reported[piece.trial] and not trial.status.is_over:
                    is_running = (piece.trial, piece.index) in snapshot.running
                    trial.status, trial.budget = TrialStatus.RUNNING if is_running else TrialStatus.WAITING, piece.budget
            if before != [trial.status for trial in self.trials.all]:
                write_trials(self.store, self.trials.all)
        if snapshot.is_full:
            self.close(SweepEnd.MAX_IMAGES)
        return snapshot.is_idle

    def watch(self, number: int, images: int, score: float | None) -> None:
        """Show how far a trial is that is being trained; what comes late, after its report, is old."""
        with self.lock:
            trial = self.trials.all[number]
            if trial.status == TrialStatus.RUNNING:
                trial.images = max(trial.images, images)
                known = [value for value in (trial.score, score) if value is not None]
                trial.score = (max if self.sweep.maximise else min)(known) if known else None

    def close(self, why: SweepEnd) -> None:
        """Start nothing more."""
        self.closed = self.closed or why

    def settle(self) -> None:
        """Write the trials down as they are left: none is being trained any more."""
        with self.lock:
            for trial in self.trials.all:
                if trial.status == TrialStatus.RUNNING:
                    trial.status = TrialStatus.WAITING
            write_trials(self.store, self.trials.all)

    @contextlib.contextmanager
    def guarded(self) -> Iterator[None]:
        """Keep what is raised in the block: Tune passes its text on, but not the error."""
        try:
            yield
        except BaseException as error:
            self.failure = self.failure or error
            raise

    @property
    def _is_limited(self) -> bool:
        """Whether as many trials are alive as have a place; populations and hyperband's brackets need all of theirs."""
        return self.sweep.searcher.kind == "bohb" or self.sweep.scheduler.kind not in ("pbt", "pb2", "hyperband")

    def _can_afford(self, images: int) -> bool:
        """Return whether so many images more stay within the sweep's, and close it if not."""
        under_way = (TrialStatus.WAITING, TrialStatus.RUNNING)
        committed = sum(trial.budget if trial.status in under_way else trial.images for trial in self.trials.all)
        if committed + images > (self.sweep.max_images or float("inf")):
            self.close(SweepEnd.MAX_IMAGES)
        return self.closed is None

    def _exploit(self, plan: PlannedExploit, positions: dict[int, int], lasts: dict[int, float | None]) -> Exploit:
        trial, donor = self.trials.all[plan.trial], plan.donor
        checkpoint = self.checkpoints.get(donor)
        assert checkpoint is not None, f"trial {donor:04d} has no checkpoint to clone"
        last = None if trial.status.is_broken else lasts[plan.trial]
        change = {"before": trial.params, "after": plan.params, "score": last, "donor_score": lasts[donor]}
        return {"images": positions[donor], "from": donor, "checkpoint": checkpoint, **change}  # type: ignore[typeddict-item]

    def _record(self, event: Event) -> None:
        with self.lock:
            self.journal.append(event)
            self.trials.apply(event)
            write_trials(self.store, self.trials.all)

    def _check(self, is_as_recorded: bool) -> None:
        if not is_as_recorded:
            problem = f"the search decides otherwise than its journal says ({self.expected})"
            remedy = "use the versions of ganray, ray and the searcher's package that it was started with, or start one of another name"
            raise ConfigError("name", problem, remedy)


def _same(one: Params, other: Params) -> bool:
    """Return whether two suggestions are the same, but for the last digits, in which machines may differ."""
    if one.keys() != other.keys():
        return False
    pairs = ((one[path], other[path]) for path in one)
    return all(
        abs(left - right) <= 1e-9 * abs(left) if isinstance(left, float) and isinstance(right, float) else left == right
        for left, right in pairs
    )
