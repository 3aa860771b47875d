"""The trials of a sweep, projected from the journal's events: pure, so that a resume finds them as they were."""

from collections.abc import Iterable

from ganray.sweep.journal import Cloned, Decision, Event, Promoted, Reported, Stopped, Suggested, WorkersFailed
from ganray.sweep.records import Exploit, Trial, TrialStatus

AFTER = {
    Decision.CONTINUE: TrialStatus.WAITING,
    Decision.NOOP: TrialStatus.WAITING,
    Decision.PAUSE: TrialStatus.PAUSED,
    Decision.STOP: TrialStatus.STOPPED,
}


class Trials:
    """The trials by number. `positions` are the rungs that they stand at, in images; `num_reported` counts their pieces."""

    def __init__(self, rungs: list[int], events: Iterable[Event] = ()) -> None:
        self.rungs = rungs
        self.all: list[Trial] = []
        self.positions: list[int] = []
        self.num_reported: list[int] = []
        for event in events:
            self.apply(event)

    def next_rung(self, images: int) -> int:
        """Return the first rung above a number of images."""
        return next(rung for rung in self.rungs if rung > images)

    def apply(self, event: Event) -> None:
        """Take in an event."""
        match event:
            case Suggested():
                assert event.trial == len(self.all), event
                self.all.append(Trial(event.trial, event.params, self.rungs[0], started=event.at))
                self.positions.append(0)
                self.num_reported.append(0)
            case Reported():
                self._report(event)
            case Promoted():
                trial = self.all[event.trial]
                trial.status, trial.budget = TrialStatus.WAITING, self.next_rung(self.positions[event.trial])
                trial.reason = trial.ended = None
            case Stopped():
                self._end(self.all[event.trial], TrialStatus.STOPPED, event.at)
            case WorkersFailed():
                self.all[event.trial].failures += 1
            case Cloned():
                pass

    def _report(self, event: Reported) -> None:
        trial, outcome = self.all[event.trial], event.outcome
        self.num_reported[event.trial] += 1
        self.positions[event.trial] = trial.budget = event.budget
        trial.images, trial.busy_s = outcome.images, trial.busy_s + outcome.busy_s
        if outcome.score is not None:
            trial.score, trial.last, trial.best_images, trial.curve = outcome.score, outcome.last, outcome.best_images, outcome.curve
        if outcome.ended.is_broken:
            self._end(trial, TrialStatus(outcome.ended.value), event.at)
            trial.reason = outcome.reason
        else:
            trial.rungs.append({"images": event.budget, "score": outcome.score, "last": outcome.last, "at": event.at})
            self._go_on(trial, event)
        for number, exploit in event.exploits.items():
            self._clone(number, exploit)

    def _go_on(self, trial: Trial, event: Reported) -> None:
        """Settle what becomes of a trial that has reached a rung."""
        if event.budget >= self.rungs[-1]:
            self._end(trial, TrialStatus.FINISHED, event.at)
        elif event.decision == Decision.STOP:
            self._end(trial, TrialStatus.STOPPED, event.at)
        else:
            trial.status = AFTER[event.decision]
            trial.budget = self.next_rung(event.budget) if trial.status == TrialStatus.WAITING else event.budget

    def _clone(self, number: int, exploit: Exploit) -> None:
        """Let a trial of a population stand where another does, with params of its own; broken or not, it goes on."""
        trial = self.all[number]
        trial.lineage.append(exploit)
        trial.params, trial.status, trial.reason, trial.ended = exploit["after"], TrialStatus.WAITING, None, None
        self.positions[number] = trial.images = exploit["images"]
        trial.budget = self.next_rung(exploit["images"])

    def _end(self, trial: Trial, status: TrialStatus, at: float) -> None:
        trial.status, trial.ended = status, at
        trial.reason = f"not among the best at {trial.budget:,} images" if status == TrialStatus.STOPPED else None
