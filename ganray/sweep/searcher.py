"""Ray Tune's searchers, built from a sweep's configuration, and the search algorithm through which Tune asks any of them."""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import ray.tune
from ray.tune.experiment import Trial
from ray.tune.experiment.config_parser import _create_trial_from_spec, _make_parser
from ray.tune.search import SearchAlgorithm, Searcher
from ray.tune.search.sample import Domain
from ray.tune.search.variant_generator import format_vars, generate_variants

from ganray.config import Job, Sweep
from ganray.config.sweep import (
    BohbSearcher,
    Choice,
    Dimension,
    GridSearcher,
    HyperoptSearcher,
    LogUniform,
    NevergradSearcher,
    OptunaSearcher,
    QUniform,
    RandInt,
    Uniform,
)
from ganray.errors import ConfigError
from ganray.sweep.random_state import seeded
from ganray.sweep.records import Params, TrialStatus, trial_name
from ganray.sweep.search import Search
from ganray.sweep.space import all_values, complete, contains, decode, encode, sweep_of


def tune_domain(dimension: Dimension) -> Domain:
    """Return a dimension as Tune's domain of its codes."""
    domain: Domain
    match dimension:
        case LogUniform(low=low, high=high):
            domain = ray.tune.loguniform(low, high)
        case Uniform(low=low, high=high):
            domain = ray.tune.uniform(low, high)
        case RandInt(low=low, high=high):
            domain = ray.tune.randint(low, high)
        case Choice(values=values):
            domain = ray.tune.choice(range(len(values)))
        case QUniform():
            domain = ray.tune.randint(0, len(all_values(dimension)))
    return domain


def build_searcher(sweep: Sweep, *, num_trials: int) -> Searcher:
    """Return Tune's searcher for a sweep's space. It works on codes, and is told of those points of `start_from` that lie within."""
    space = {path: tune_domain(dimension) for path, dimension in sorted(sweep.space.items())}
    known = [{path: encode(sweep.space[path], params[path]) for path in space} for params in sweep.start_from if is_within(sweep, params)]
    goal: dict[str, Any] = {"metric": sweep.metric, "mode": sweep.direction, "points_to_evaluate": known or None}
    match sweep.searcher:
        case OptunaSearcher(startup_trials=startup):
            return _optuna(space, goal, startup=startup, seed=sweep.seed)
        case HyperoptSearcher(startup_trials=startup, gamma=gamma):
            from ray.tune.search.hyperopt import HyperOptSearch

            return HyperOptSearch(space, n_initial_points=startup, gamma=gamma, random_state_seed=sweep.seed, **goal)
        case NevergradSearcher(optimizer=name):
            return _nevergrad(space, goal, name=name, seed=sweep.seed, num_trials=num_trials)
        case BohbSearcher():
            from ray.tune.search.bohb import TuneBOHB

            return TuneBOHB(space, seed=sweep.seed, **goal)
        case GridSearcher():
            values = {path: ray.tune.grid_search(list(range(len(all_values(sweep.space[path]))))) for path in space}  # type: ignore[arg-type]
            return VariantSearcher(generate_variants({"config": values}))
        case _:
            return VariantSearcher(_random_variants(space, sweep.seed))


def is_within(sweep: Sweep, params: Params) -> bool:
    """Return whether params are a point of the space, as searchers take it; others are tried without telling the searcher."""
    return all(path in params and contains(dimension, params[path]) for path, dimension in sweep.space.items())


class VariantSearcher(Searcher):
    """Tune's variant generation, random or of a grid, as a searcher: it hears of no results."""

    def __init__(self, variants: Iterator[tuple[Any, dict[str, Any]]]) -> None:
        super().__init__()
        self.variants = variants

    def suggest(self, trial_id: str) -> Any:
        """Return the next variant."""
        return next((spec["config"] for _, spec in self.variants), Searcher.FINISHED)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Take in nothing."""


class JournaledSearch(SearchAlgorithm):
    """Tune's search algorithm: asks the searcher when the search may go on, numbers trials, and tells it what became of them."""

    def __init__(self, job: Job, searcher: Searcher, search: Search) -> None:
        self.job, self.searcher, self.search = job, searcher, search
        self.parser = _make_parser()
        self.spec: dict[str, Any] = {}
        self.num_suggested = 0
        self.alive: set[str] = set()
        self.told: set[str] = set()  # trials that the searcher knows
        self.last_results: dict[str, dict[str, Any]] = {}
        self._finished = False

    def __getstate__(self) -> dict[str, Any]:
        """Return nothing: Tune saves what it is given for `Tuner.restore`, which is not used."""
        return {}

    def add_configurations(self, experiments: Any) -> None:
        """Take Tune's experiment."""
        (experiment,) = experiments
        self.spec = experiment.spec

    def is_finished(self) -> bool:
        """Return whether there is nothing left to do: as long as there is, Tune keeps actors for trials that pause."""
        return self._finished or self.search.is_over or (self.num_suggested >= self.search.num_trials and not self.alive)

    def next_trial(self) -> Trial | None:
        """Return a new trial if there is a place for one."""
        with self.search.guarded():
            number = self.num_suggested
            if not self.search.may_suggest(number) or (params := self._suggest(number)) is None:
                return None
            self.num_suggested += 1
            self.alive.add(trial_name(number))
            return self._trial(number, self.search.suggest(number, params))

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Tell the searcher of a result after which the trial goes on."""
        self.last_results[trial_id] = result
        if trial_id in self.told:
            self.searcher.on_trial_result(trial_id, result)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Tell the searcher how a trial ended. Optuna learns that one was stopped early, which Tune would call complete."""
        self.alive.discard(trial_id)
        if result and result.get("interrupted"):
            return
        with self.search.guarded():
            self.search.stop(int(trial_id))
            if trial_id not in self.told:
                return
            is_stopped = self.search.trials.all[int(trial_id)].status == TrialStatus.STOPPED
            if is_stopped and self.job_searcher_kind in ("optuna", "bohb"):
                if result:
                    self.searcher.on_trial_result(trial_id, result)
                result = None
            else:
                result = result or self.last_results.get(trial_id)
            self.searcher.on_trial_complete(trial_id, result, error)

    @property
    def job_searcher_kind(self) -> str:
        """The kind of the searcher, as the job names it."""
        return sweep_of(self.job).searcher.kind

    def _suggest(self, number: int) -> Params | None:
        """Return the params of a new trial: those that are to be tried first, then the searcher's. None if it has none (now)."""
        sweep = sweep_of(self.job)
        given = sweep.start_from[number] if number < len(sweep.start_from) else None
        if given is not None and (isinstance(self.searcher, VariantSearcher) or not is_within(sweep, given)):
            return complete(self.job, given) if sweep.is_population else dict(given)
        with seeded(sweep.seed, number):
            codes: Any = self.searcher.suggest(trial_name(number))
        if codes == Searcher.FINISHED:
            self.search.num_trials = number
        if codes in (None, Searcher.FINISHED):
            return None
        self.told.add(trial_name(number))
        return dict(given) if given else {path: decode(sweep.space[path], codes[path]) for path in sorted(sweep.space)}

    def _trial(self, number: int, params: Params) -> Trial:
        tag = f"{number}_{format_vars({(path,): value for path, value in params.items()})}"
        spec = {**self.spec, "config": dict(params)}
        names = {"evaluated_params": dict(params), "experiment_tag": tag, "trial_id": trial_name(number)}
        trial: Trial = _create_trial_from_spec(spec, self.parser, **names)
        return trial


def _random_variants(space: dict[str, Domain], seed: int) -> Iterator[tuple[Any, dict[str, Any]]]:
    generator = np.random.RandomState(seed)
    return itertools.chain.from_iterable(generate_variants({"config": space}, random_state=generator) for _ in itertools.count())


def _optuna(space: dict[str, Domain], goal: dict[str, Any], *, startup: int, seed: int) -> Searcher:
    import optuna
    from ray.tune.search.optuna import OptunaSearch

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.TPESampler(multivariate=True, constant_liar=True, n_startup_trials=startup, seed=seed)
    return OptunaSearch(OptunaSearch.convert_search_space(space), sampler=sampler, **goal)


def _nevergrad(space: dict[str, Domain], goal: dict[str, Any], *, name: str, seed: int, num_trials: int) -> Searcher:
    import nevergrad
    from ray.tune.search.nevergrad import NevergradSearch

    optimizer: Any = nevergrad.optimizers.registry.get(name)
    if optimizer is None or optimizer.no_parallelization:  # which waits for a result before it suggests again
        problem = f"expected an optimizer of Nevergrad's that suggests several trials at once, got {name!r}"
        raise ConfigError("sweep.searcher.optimizer", problem, "use NGOpt, OnePlusOne, CMA, DE or PSO")
    options = {"budget": num_trials, "num_workers": num_trials}
    parameters = NevergradSearch.convert_search_space(space)
    parameters.random_state.seed(seed)
    return NevergradSearch(optimizer, options, parameters, **goal)
