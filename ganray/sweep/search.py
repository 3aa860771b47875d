"""The mind of a sweep: which trial trains next, and how far. Knows neither Ray nor stores, so that it can be tested by itself.

Trials train in legs. A leg ends at a number of images, fixed when it begins, with its workers gone and its state in the store; what
scheduler there is decides between legs. So nothing ever waits while it holds what others need.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ganray.config import Sweep
from ganray.config.sweep import AshaScheduler, PbtScheduler
from ganray.sweep.records import BROKE, FAILED, FINISHED, OVER, PAUSED, RUNNING, STOPPED, WAITING, Trial, rank_key


@dataclass(frozen=True)
class LegOutcome:
    """How a leg ended: "done", "asked" (to stop), "diverged", "collapsed" or "failed"; where the trial then stood, and its scores."""

    trial: int
    ended: str
    images: int
    score: float | None = None
    last: float | None = None
    best_images: int | None = None
    reason: str | None = None
    busy_s: float = 0.0
    curve: list[list[float]] = field(default_factory=list)


def rungs(sweep: Sweep, budget: int) -> list[int]:
    """Return where legs end, in images; the last is the budget."""
    match sweep.scheduler:
        case AshaScheduler(min_images=first, reduction=reduction):
            first, ends = first or max(budget // reduction**2, 1), []
            while first < budget:
                ends.append(first)
                first *= reduction
            return [*ends, budget]
        case PbtScheduler(every=every):
            every = every or math.ceil(budget / 8)
            return [*range(every, budget, every), budget]
        case _:
            return [budget]


def asha_choice(trials: list[Trial], ends: list[int], reduction: int, *, maximise: bool) -> Trial | None:
    """Return the trial to promote now, from the highest rung that has one, if any.

    Algorithm 2 of Li et al. 2020: of the n that a rung has seen, broken ones included, the best n / reduction may go on.
    """
    for rung in reversed(range(len(ends) - 1)):
        seen = [
            trial for trial in trials if score_at(trial, ends[rung]) is not None or (trial.counts_as_worst and trial.target == ends[rung])
        ]
        ranked = sorted(seen, key=lambda trial: (rank_key(score_at(trial, ends[rung]), maximise=maximise), trial.number))
        for trial in ranked[: len(ranked) // reduction]:
            if trial.status == PAUSED and trial.target == ends[rung]:
                return trial
    return None


def score_at(trial: Trial, images: int) -> float | None:
    """Return a trial's best score up to the end of a leg, None if it did not get there."""
    return next((leg["score"] for leg in trial.legs if leg["images"] == images), None)


class Search:
    """Hands out legs and takes in their outcomes. `changed` is called after everything that must not be forgotten.

    `propose(trials)` returns the point of the next trial; `exploit(trials, images)` lets a population's worst copy its best.
    """

    def __init__(
        self,
        sweep: Sweep,
        *,
        budget: int,
        num_trials: int,
        max_failures: int,
        trials: list[Trial],
        propose: Callable[[list[Trial]], dict[str, Any]],
        exploit: Callable[[list[Trial], int], None],
        changed: Callable[[list[Trial]], None],
    ) -> None:
        self.sweep, self.budget, self.max_failures, self.trials = sweep, budget, max_failures, trials
        self.propose, self.exploit, self.changed = propose, exploit, changed
        self.num_trials = num_trials
        self.ends = rungs(sweep, budget)
        self.closed: str | None = None
        self.is_over = False
        for trial in trials:
            if trial.status == RUNNING:
                trial.status = WAITING

    @property
    def running(self) -> list[Trial]:
        """The trials that have a leg under way."""
        return [trial for trial in self.trials if trial.status == RUNNING]

    def demand(self) -> int:
        """Return how many legs could be under way now, at most; at least one while the search goes on."""
        if self.is_over or self.closed:
            return len(self.running)
        ready = sum(trial.status in (RUNNING, WAITING) for trial in self.trials) + self.num_trials - len(self.trials)
        return max(ready, 1)

    @property
    def is_done(self) -> bool:
        """Whether all trials that there will be are over already."""
        return len(self.trials) >= self.num_trials and all(trial.is_over for trial in self.trials)

    def close(self, why: str) -> None:
        """Hand out nothing more, because of "asked", "max_hours" or "max_images"; what is left can go on another time."""
        self.closed = self.closed or why

    def next_leg(self) -> Trial | None:
        """Return a trial that now trains to its `target`, None if there is none at present; `is_over` then says whether there will be."""
        trial = None if self.closed else self._choose()
        if trial is not None and self._cost(trial) > self._images_left():
            self.close("max_images")
            trial = None
        if trial is None:
            self._settle()
            return None
        if trial.number == len(self.trials):
            self.trials.append(trial)
        trial.status, trial.started = RUNNING, trial.started or time.time()
        self.changed(self.trials)
        return trial

    def watch(self, number: int, images: int, score: float | None) -> None:
        """Take in how far a leg is, for those who look on; what comes late, after the leg's outcome, says nothing new."""
        trial, maximise = self.trials[number], self.sweep.maximise
        if trial.status == RUNNING:
            trial.images = max(trial.images, images)
            trial.score = min(trial.score, score, key=lambda known: rank_key(known, maximise=maximise))

    def tell(self, outcome: LegOutcome) -> None:
        """Take in how a leg ended."""
        trial = self.trials[outcome.trial]
        trial.images, trial.busy_s = outcome.images, trial.busy_s + outcome.busy_s
        if outcome.score is not None:
            trial.score, trial.last, trial.best_images, trial.curve = outcome.score, outcome.last, outcome.best_images, outcome.curve
        self._settle_leg(trial, outcome)
        if trial.is_over:
            trial.ended = time.time()
        self.changed(self.trials)

    def lost(self, number: int, reason: str) -> bool:
        """Take in that who had a leg died, and return whether it is tried again, which it is `max_failures` times."""
        trial = self.trials[number]
        trial.failures += 1
        if trial.failures > self.max_failures:
            trial.status, trial.reason, trial.ended = FAILED, reason, time.time()
        else:
            trial.status = WAITING
        self.changed(self.trials)
        return trial.status == WAITING

    def _settle_leg(self, trial: Trial, outcome: LegOutcome) -> None:
        if outcome.ended == "asked":
            trial.status = WAITING
        elif outcome.ended == "done":
            trial.legs.append({"images": trial.target, "score": outcome.score, "last": outcome.last, "at": time.time()})
            trial.status = FINISHED if trial.target >= self.budget else PAUSED
        else:
            assert outcome.ended in BROKE, outcome
            trial.status, trial.reason = outcome.ended, outcome.reason

    def _choose(self) -> Trial | None:
        """Return what should train next: what was interrupted, then what is promoted, then a new trial."""
        interrupted = [trial for trial in self.trials if trial.status == WAITING]
        if interrupted:
            return interrupted[0]
        if isinstance(self.sweep.scheduler, PbtScheduler):
            return self._choose_of_population()
        if isinstance(self.sweep.scheduler, AshaScheduler) and (promoted := self._promoted()):
            promoted.target = next(end for end in self.ends if end > promoted.target)
            promoted.status = WAITING
            return promoted
        return self._new_trial()

    def _promoted(self) -> Trial | None:
        """Return a trial to promote; once nothing else is left, the best one, so that one at least gets to the end."""
        maximise = self.sweep.maximise
        if chosen := asha_choice(self.trials, self.ends, self.sweep.scheduler.reduction, maximise=maximise):
            return chosen
        paused = [trial for trial in self.trials if trial.status == PAUSED]
        if self.running or len(self.trials) < self.num_trials or not paused or any(trial.status == FINISHED for trial in self.trials):
            return None
        return min(paused, key=lambda trial: (-trial.target, rank_key(trial.score, maximise=maximise), trial.number))

    def _choose_of_population(self) -> Trial | None:
        """Return a member to train: all reach the end of a generation before the next begins."""
        if len(self.trials) < self.num_trials:
            return self._new_trial()
        if self.running or all(trial.status in (FINISHED, STOPPED, FAILED) for trial in self.trials):
            return None
        reached = max((trial.target for trial in self.trials if trial.status == PAUSED), default=None)
        if reached is None:
            return None
        self.exploit(self.trials, reached)
        onward = next(end for end in self.ends if end > reached)
        for trial in self.trials:
            if trial.status == PAUSED:
                trial.target, trial.status = onward, WAITING
        self.changed(self.trials)
        return self._choose()

    def _new_trial(self) -> Trial | None:
        if len(self.trials) >= self.num_trials:
            return None
        return Trial(len(self.trials), self.propose(self.trials), self.ends[0])

    def _cost(self, trial: Trial) -> int:
        return trial.target - trial.images

    def _images_left(self) -> float:
        taken = sum(trial.target if trial.status == RUNNING else trial.images for trial in self.trials)
        return (self.sweep.max_images or math.inf) - taken

    def _settle(self) -> None:
        """Where nothing can be handed out and nothing is under way: the search is over, and what no rung let go on is stopped."""
        if self.running:
            return
        self.is_over = True
        left = [] if self.closed else [trial for trial in self.trials if trial.status not in OVER]
        for trial in left:
            trial.status, trial.ended = STOPPED, time.time()
            trial.reason = f"not among the best at {trial.target:,} images"
        if left:
            self.changed(self.trials)
