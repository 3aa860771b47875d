"""Asynchronous successive halving that promotes (Algorithm 2 of Li et al. 2020), as a scheduler of Ray Tune.

Tune's own variant decides once, when a trial comes to a rung, and stops or continues it. Here every trial pauses at a rung, and goes
on, sooner or later, if it is among the best of those that came there; for the same regret that costs a fifth fewer images.
"""

from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from ganray.runs.trials import TrialStatus, rank_key
from ganray.sweep.tune.search import Search

Seen = dict[int, dict[int, float]]  # rung in images -> trial -> score, less is better


def promotable(seen: Seen, paused: dict[int, int], reduction: int) -> int | None:
    """Return the trial to promote now, from the highest rung that has one; `paused` maps trials to the rungs where they wait.

    Of the n trials that a rung has seen, broken ones included, the best n / reduction may go on.
    """
    for rung in sorted(seen, reverse=True):
        ranked = sorted(seen[rung], key=lambda number: (seen[rung][number], number))
        for number in ranked[: len(ranked) // reduction]:
            if paused.get(number) == rung:
                return number
    return None


class PromotingAsha(FIFOScheduler):
    """The scheduler. Which promotion comes when depends on free places, so that promotions are events of the journal."""

    def __init__(self, rungs: list[int], reduction: int, search: Search) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.reduction, self.search = reduction, search
        self.seen: Seen = {rung: {} for rung in rungs[:-1]}
        self.paused: dict[int, int] = {}
        search.has_promotion = lambda: self.next_promotion() is not None

    def on_trial_result(self, controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Let a trial wait at its rung."""
        self._see(trial, result)
        self.paused[int(trial.trial_id)] = result["images"]
        return TrialScheduler.PAUSE

    def on_trial_complete(self, controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        """Count a trial that broke on its way to a rung among those that came there."""
        self._see(trial, result)

    def on_trial_remove(self, controller: Any, trial: Trial) -> None:
        """Forget a paused trial that was stopped."""
        self.paused.pop(int(trial.trial_id), None)

    def next_promotion(self) -> int | None:
        """Return the trial to promote; once nothing else is left, the best one, so that one at least gets to the end."""
        number = promotable(self.seen, self.paused, self.reduction)
        if number is not None or not self.search.is_exhausted:
            return number
        if any(trial.status == TrialStatus.FINISHED for trial in self.search.trials.all):
            return None
        return min(self.paused, key=lambda number: (-self.paused[number], self.seen[self.paused[number]][number], number), default=None)

    def choose_trial_to_run(self, controller: Any) -> Trial | None:
        """Return a new trial, or one that is promoted, into a free place; stop those that wait once nothing else is left."""
        trials: list[Trial] = controller.get_trials()
        if pending := next((trial for trial in trials if trial.status == Trial.PENDING), None):
            return pending
        paused = {int(trial.trial_id): trial for trial in trials if trial.status == Trial.PAUSED}
        number = self.search.choose_promotion(self.next_promotion)
        if number in paused:
            self.search.promote(number)
            del self.paused[number]
            return paused[number]
        if number is None and self.search.is_exhausted and all(trial.is_finished() or trial.status == Trial.PAUSED for trial in trials):
            for trial in paused.values():
                controller.stop_trial(trial)
        return None

    def _see(self, trial: Trial, result: dict[str, Any]) -> None:
        sweep, rung = self.search.sweep, result["images"]
        if rung in self.seen:
            self.seen[rung][int(trial.trial_id)] = rank_key(result[sweep.metric], maximise=sweep.maximise)
