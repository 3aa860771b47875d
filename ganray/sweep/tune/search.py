"""The search: Ray Tune's search algorithm, which writes the journal and replays it.

Tune calls its hooks on one thread, in the order: the scheduler decides on a result, the searcher takes it in, callbacks are told.
A report is written down in the last of these, before anything follows from it.
"""

import time
from collections.abc import Callable
from typing import Any

from ray.tune.experiment import Trial as TuneTrial
from ray.tune.experiment.config_parser import _create_trial_from_spec, _make_parser
from ray.tune.search import SearchAlgorithm, Searcher
from ray.tune.search.variant_generator import format_vars

from ganray.config import Job
from ganray.errors import ConfigError
from ganray.runs.trials import Exploit, Params, TrialStatus, trial_name
from ganray.sweep.journal import Decision, Journal, Promoted, Reported, Suggested, Trials
from ganray.sweep.plan import complete, is_within
from ganray.sweep.search_state import SearchState
from ganray.sweep.tune.searchers import VariantSearcher, build_searcher, seeded


class Search(SearchState, SearchAlgorithm):
    """Ray Tune's search algorithm over a state that the driver shares; its own methods are for Tune's thread.

    `ask` calls a method of the work queue, and `clone` carries exploits out in the store, once however often it is asked to.
    """

    def __init__(
        self, job: Job, journal: Journal, trials: Trials, *, ask: Callable[..., Any], clone: Callable[[dict[int, Exploit]], None]
    ) -> None:
        super().__init__(job, journal, trials, ask=ask)
        self.searcher, self.clone = build_searcher(self.sweep, num_trials=self.num_trials), clone
        self.parser, self.spec = _make_parser(), dict[str, Any]()
        self.num_suggested = 0
        self.alive: set[str] = set()
        self.told: dict[str, dict[str, Any] | None] = {}  # trials that the searcher knows, and their last results
        self.decided: dict[int, tuple[Decision, dict[int, tuple[int, Params]]]] = {}
        self.has_promotion: Callable[[], bool] = lambda: False

    def __getstate__(self) -> dict[str, Any]:
        """Return nothing: Tune saves what it is given for `Tuner.restore`, which is not used."""
        return {}

    # Tune's hooks

    def add_configurations(self, experiments: Any) -> None:
        """Take Tune's experiment."""
        self.spec = experiments[0].spec

    def is_finished(self) -> bool:
        """Return whether there is nothing left to do: as long as there is, Tune keeps actors for trials that pause."""
        return self._finished or self.is_over or (self.num_suggested >= self.num_trials and not self.alive)

    def next_trial(self) -> TuneTrial | None:
        """Return a new trial if there is a place for one, or the one that the journal says."""
        with self.guarded():
            if not self._may_suggest() or (params := self._suggest(self.num_suggested)) is None:
                return None
            number = self.num_suggested
            if isinstance(expected := self.journal.expected, Suggested):
                self._check(expected.trial == number and _same(expected.params, params))
                params = expected.params
            self.meet(Suggested(number, params, time.time()))
            self.replay()
            self.num_suggested += 1
            self.alive.add(trial_name(number))
            tag = f"{number}_{format_vars({(path,): value for path, value in params.items()})}"
            names: dict[str, Any] = {"evaluated_params": dict(params), "experiment_tag": tag, "trial_id": trial_name(number)}
            trial: TuneTrial = _create_trial_from_spec({**self.spec, "config": dict(params)}, self.parser, **names)
            return trial

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Tell the searcher of a result after which the trial goes on."""
        if trial_id in self.told:
            self.told[trial_id] = result
            self.searcher.on_trial_result(trial_id, result)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Tell the searcher how a trial ended. Optuna learns that one was stopped early, which Tune would call complete."""
        self.alive.discard(trial_id)
        if trial_id not in self.told or self.is_over:
            return
        with self.guarded():
            is_stopped = self.trials.all[int(trial_id)].status in (TrialStatus.STOPPED, TrialStatus.PAUSED)
            if is_stopped and self.sweep.searcher.kind in ("optuna", "bohb"):
                if result:
                    self.searcher.on_trial_result(trial_id, result)
                self.searcher.on_trial_complete(trial_id, None, error)
            else:
                self.searcher.on_trial_complete(trial_id, result or self.told[trial_id], error)

    def decide(self, number: int, decision: Decision, exploits: dict[int, tuple[int, Params]]) -> None:
        """Keep the scheduler's decision until the report is written down; exploits are (donor, params) by the trial that clones."""
        self.decided[number] = decision, exploits

    def report(self, number: int) -> None:
        """Take in that searcher and scheduler have met a trial's piece, and let those clone that are to."""
        budget, outcome = self.ask("acknowledge", number)
        new = Reported(number, budget, outcome, *self.decided.pop(number, ("STOP", {})), time.time())
        event = self.journal.expected if isinstance(self.journal.expected, Reported) else new
        self._check((event.trial, event.decision, event.donors) == (number, new.decision, new.donors))
        self.meet(event)
        if event.exploits and self.journal.expected is None:  # else they were carried out, since more has happened
            exploits = {trial: self.trials.all[trial].lineage[-1] for trial in event.exploits}
            self.clone(exploits)
            for trial, exploit in exploits.items() if self.is_live else ():
                self.ask("move", trial, exploit["images"])
        self.replay()

    def choose_promotion(self, candidate: Callable[[], int | None]) -> int | None:
        """Return the paused trial to promote now: what the journal says, or the candidate if there is a place for it."""
        if not self.is_live:
            return self.journal.expected.trial if isinstance(self.journal.expected, Promoted) else None
        return candidate() if not self.closed and self.num_active < self.places else None

    def promote(self, number: int) -> None:
        """Take in that a paused trial goes on."""
        self.meet(Promoted(number, time.time()))
        self.replay()

    def replay(self) -> None:
        """Have the queue answer the next recorded report, or train, once all were replayed."""
        if isinstance(event := self.journal.expected, Reported):
            self.ask("release", event.trial, event.budget, event.outcome)
        elif event is None and not self.is_live:
            self.is_live = True
            self.ask("go_live")

    def _may_suggest(self) -> bool:
        if not self.is_live:
            return isinstance(self.journal.expected, Suggested)
        if self.closed or self.num_suggested >= self.num_trials or self.has_promotion():
            return False
        needs_all = self.sweep.searcher.kind != "bohb" and self.sweep.scheduler.kind in ("pbt", "pb2", "hyperband")  # alive together
        return (needs_all or self.num_active < self.places) and self.can_afford(self.trials.rungs[0])

    def _suggest(self, number: int) -> Params | None:
        """Return the params of a new trial: those that are to be tried first, then the searcher's. None if it has none (now)."""
        sweep = self.sweep
        given = sweep.start_from[number] if number < len(sweep.start_from) else None
        if given is not None and (isinstance(self.searcher, VariantSearcher) or not is_within(sweep, given)):
            return complete(self.job, given) if sweep.is_population else dict(given)
        with seeded(sweep.seed, number):
            codes: Any = self.searcher.suggest(trial_name(number))
        if codes == Searcher.FINISHED:
            self.num_trials = number
        if codes in (None, Searcher.FINISHED):
            return None
        self.told[trial_name(number)] = None
        return dict(given) if given else {path: dimension.decode(codes[path]) for path, dimension in sorted(sweep.space.items())}

    def _check(self, is_as_recorded: bool) -> None:
        if not is_as_recorded:
            problem = f"the search decides otherwise than its journal says ({self.journal.expected})"
            remedy = "use the versions of ganray, ray and the searcher's package that it was started with, or start one of another name"
            raise ConfigError("name", problem, remedy)


def _same(one: Params, other: Params) -> bool:
    """Return whether two suggestions are the same, but for the last digits, in which machines may differ."""
    return one.keys() == other.keys() and all(
        abs(one[path] - other[path]) <= 1e-9 * abs(one[path]) if isinstance(one[path], float) else one[path] == other[path] for path in one
    )
