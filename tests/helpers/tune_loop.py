"""Ray Tune's event loop in this process, without Ray: real searchers and schedulers of Tune's, pieces that a formula trains."""

from collections import Counter
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from ray.train._internal.session import _TrainingResult
from ray.tune.experiment import Trial
from ray.tune.registry import register_trainable

from ganray.config import Job
from ganray.runs.trials import Exploit, TrialStatus
from ganray.storage import ObjectStore
from ganray.sweep.journal import Journal, Outcome, Trials
from ganray.sweep.plan import rungs_of
from ganray.sweep.tune.schedulers import build_scheduler
from ganray.sweep.tune.search import Search
from ganray.sweep.tune.trainable import TrialTrainable, result_of
from ganray.sweep.work_queue import Report

Train = Callable[[dict[str, Any], int], Outcome]  # of params and a budget


class Killed(Exception):
    """The driver was killed."""


class FormulaQueue:
    """A work queue whose pieces a formula trains at once, when the loop asks for them. `trained` holds (trial, index, budget)."""

    def __init__(self, train: Train) -> None:
        self.train = train
        self.trained: list[tuple[int, int, int]] = []
        self.released: dict[tuple[int, int], Report] = {}
        self.reports: dict[int, Report] = {}
        self.num_reported: Counter[int] = Counter()
        self.moved: list[tuple[int, int]] = []
        self.is_live = False

    def ask(self, method: str, *arguments: Any) -> Any:
        return getattr(self, method)(*arguments)

    def release(self, trial: int, budget: int, outcome: Outcome) -> None:
        self.released[trial, self.num_reported[trial]] = budget, outcome

    def go_live(self) -> None:
        self.is_live = True

    def acknowledge(self, trial: int) -> Report:
        self.num_reported[trial] += 1
        return self.reports.pop(trial)

    def move(self, trial: int, images: int) -> None:
        self.moved.append((trial, images))

    def answer(self, trial: Trial, search: Search) -> Report | None:
        """Return the next report of a trial, None while there is none."""
        number = int(trial.trial_id)
        index = self.num_reported[number]
        if (number, index) in self.released:
            return self.released[number, index]
        if not self.is_live:
            return None
        budget = search.trials.next_rung(search.trials.all[number].position)
        self.trained.append((number, index, budget))
        return budget, self.train(trial.config, budget)


class TuneLoop:
    """Runs a sweep's search from where its store has it to the end, or to a kill after so many new events of the journal."""

    def __init__(self, job: Job, store: ObjectStore, train: Train, *, places: int = 1, kill_after: int | None = None) -> None:
        register_trainable(TrialTrainable.__name__, TrialTrainable)
        self.sweep, self.rungs = job.required_sweep, rungs_of(job)
        self.journal, self.queue, self.kill_after = Journal(store), FormulaQueue(train), kill_after
        self.clones: list[dict[int, Exploit]] = []
        trials = Trials(self.rungs, self.journal.events)
        self.search = Search(job, self.journal, trials, ask=self.queue.ask, clone=self.clones.append)
        self.search_alg, self.search.places = self.search, places
        self.search.add_configurations([SimpleNamespace(spec={"run": TrialTrainable.__name__})])
        self.scheduler = build_scheduler(job, self.search)
        self.trials: list[Trial] = []
        self._tune_controller = SimpleNamespace(_actor_cache=SimpleNamespace(increase_max=lambda factory: None))
        self.search.replay()

    def run(self) -> Search:
        """Run the loop."""
        while not (self.search.is_finished() and all(trial.is_finished() for trial in self.trials)) and not self.search.closed:
            while trial := self.search.next_trial():
                self.trials.append(trial)
                self.scheduler.on_trial_add(self, trial)
                self._maybe_die()
            if chosen := self.scheduler.choose_trial_to_run(self):
                chosen.set_status(Trial.RUNNING)
            self._maybe_die()
            for trial in self.trials:
                if trial.status == Trial.PENDING:
                    trial.set_status(Trial.RUNNING)
            self._report_one()
            self._maybe_die()
        self.search.settle()
        return self.search

    def _maybe_die(self) -> None:
        if self.kill_after is not None and len(self.journal.events) - self.journal.known >= self.kill_after:
            raise Killed

    def _report_one(self) -> None:
        running = [trial for trial in self.trials if trial.status == Trial.RUNNING]
        running.sort(key=lambda trial: (self.queue.num_reported[int(trial.trial_id)], trial.trial_id))
        for trial in running:
            if report := self.queue.answer(trial, self.search):
                self.queue.reports[int(trial.trial_id)] = report
                return self._process(trial, *report)
        assert running or any(trial.status == Trial.PAUSED for trial in self.trials) or not self.trials or self.search.is_finished()
        return None

    def _process(self, trial: Trial, budget: int, outcome: Outcome) -> None:
        result = result_of(budget, outcome, self.sweep, self.rungs)
        result["training_iteration"] = self.queue.num_reported[int(trial.trial_id)] + 1
        decision = "STOP" if result["done"] else self.scheduler.on_trial_result(self, trial, result)
        if decision != "STOP":
            self.search.on_trial_result(trial.trial_id, result)
        self.search.report(int(trial.trial_id))
        trial.run_metadata.last_result = result
        if decision == "PAUSE":
            self.pause_trial(trial)
        elif decision == "STOP":
            self.stop_trial(trial)

    # What schedulers call

    def get_trials(self) -> list[Trial]:
        return self.trials

    def get_live_trials(self) -> set[Trial]:
        return {trial for trial in self.trials if not trial.is_finished()}

    def pause_trial(self, trial: Trial, should_checkpoint: bool = True) -> None:
        if should_checkpoint:
            self._schedule_trial_save(trial)
        trial.set_status(Trial.PAUSED)

    def stop_trial(self, trial: Trial) -> None:
        if trial.is_finished():
            return
        if trial.status == Trial.RUNNING:
            self.scheduler.on_trial_complete(self, trial, trial.last_result)
            self.search.on_trial_complete(trial.trial_id, trial.last_result)
        else:
            self.scheduler.on_trial_remove(self, trial)
            self.search.on_trial_complete(trial.trial_id)
        trial.set_status(Trial.TERMINATED)

    def _schedule_trial_save(self, trial: Trial, result: dict[str, Any] | None = None) -> str:
        saved = _TrainingResult(checkpoint=f"of {trial.trial_id}", metrics=result or trial.last_result)  # type: ignore[arg-type]
        trial.run_metadata.checkpoint_manager._latest_checkpoint_result = saved
        return str(saved.checkpoint)


def done(score: float, budget: int) -> Outcome:
    """Return the outcome of a piece that came to its rung with a score."""
    return Outcome(TrialStatus.PAUSED, budget, score=score, last=score, best_images=budget, checkpoint=f"000-{budget:012d}")
