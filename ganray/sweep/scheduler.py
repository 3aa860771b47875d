"""Ray Tune's schedulers, built from a sweep's configuration, and the wrapper that makes any of them repeatable."""

import contextlib
import math
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import (
    AsyncHyperBandScheduler,
    FIFOScheduler,
    HyperBandForBOHB,
    HyperBandScheduler,
    MedianStoppingRule,
    PopulationBasedTraining,
    TrialScheduler,
)
from ray.tune.schedulers.pb2 import PB2

from ganray.config import Job
from ganray.config.sweep import (
    AshaScheduler,
    Dimension,
    HyperbandScheduler,
    LogUniform,
    MedianScheduler,
    Pb2Scheduler,
    PbtScheduler,
    Uniform,
)
from ganray.errors import GanrayError
from ganray.sweep.journal import Decision
from ganray.sweep.promotion import PromotingAsha
from ganray.sweep.random_state import seeded
from ganray.sweep.records import Params
from ganray.sweep.search import PlannedExploit, Search
from ganray.sweep.searcher import tune_domain
from ganray.sweep.space import all_values, sweep_of, trial_job

WORST = 1e12  # what schedulers see of a score that is not finite: percentiles of infinities are not numbers
TRIES = 20  # explorations before the donor's own params are taken, where they make jobs that cannot be


def build_scheduler(job: Job, rungs: list[int], search: Search) -> "RepeatableScheduler":
    """Return the sweep's scheduler. All but hyperband count in images; hyperband's brackets count rungs."""
    sweep = sweep_of(job)
    images: dict[str, Any] = {"time_attr": "images"}
    scheduler: TrialScheduler
    match sweep.scheduler:
        case AshaScheduler(promote=True, reduction=reduction):
            scheduler = PromotingAsha(rungs, reduction, search)
        case AshaScheduler(reduction=reduction):
            scheduler = AsyncHyperBandScheduler(grace_period=rungs[0], max_t=rungs[-1], reduction_factor=reduction, **images)
        case HyperbandScheduler(reduction=reduction):
            kind = HyperBandForBOHB if sweep.searcher.kind == "bohb" else HyperBandScheduler
            scheduler = kind(time_attr="rung", max_t=len(rungs), reduction_factor=reduction)
        case MedianScheduler(min_images=grace, min_trials=num):
            scheduler = MedianStoppingRule(grace_period=grace or rungs[0], min_samples_required=num, **images)
        case PbtScheduler() | Pb2Scheduler():
            scheduler = _population(job, sweep.scheduler, rungs)
        case _:
            scheduler = FIFOScheduler()
    return RepeatableScheduler(scheduler, search, seed=sweep.seed)


class RepeatableScheduler(TrialScheduler):
    """Any scheduler of Tune's, whose decisions depend on the results that it meets, their order and a seed, and on nothing else.

    Random numbers are seeded at each decision (Tune draws from the global generators, which its own loop draws from too). Scores that
    are not finite count as worst. A trial whose process died and was started again is neither new nor failed. Trials need no
    resources, so that none pauses in favour of others that wait to start.
    """

    def __init__(self, inner: TrialScheduler, search: Search, *, seed: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.inner, self.search, self.seed = inner, search, seed
        self.known: set[str] = set()
        self.worst = 0.0  # of the finite scores so far, more is worse

    def __getstate__(self) -> dict[str, Any]:
        """Return nothing: Tune saves what it is given for `Tuner.restore`, which is not used."""
        return {}

    @property
    def metric(self) -> str:
        """The metric that the scheduler compares."""
        return str(self.inner.metric or self._metric)

    def set_search_properties(self, metric: str | None, mode: str | None, **spec: Any) -> bool:
        """Take Tune's metric and mode."""
        self._metric, self.sign = metric, -1.0 if mode == "max" else 1.0
        return bool(self.inner.set_search_properties(metric, mode, **spec))

    def on_trial_add(self, controller: Any, trial: Trial) -> None:
        """Take in a new trial."""
        if trial.trial_id not in self.known:
            self.known.add(trial.trial_id)
            keep_paused_actor(controller, trial)
            self.inner.on_trial_add(controller, trial)

    def on_trial_error(self, controller: Any, trial: Trial) -> None:
        """Take in a trial whose process died once too often; one that is only being restarted has this status."""
        if trial.status != Trial.ERROR:
            self.inner.on_trial_error(controller, trial)

    def on_trial_result(self, controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Return what becomes of a trial that has reported."""
        seen = self._finite(result)
        with self.search.guarded(), seeded(self.seed, int(trial.trial_id), result["images"]):
            decision = self.inner.on_trial_result(controller, trial, seen)
        result.update({key: seen[key] for key in seen.keys() - result.keys()})  # what BOHB's searcher is told through it
        if decision == TrialScheduler.PAUSE and (isinstance(self.inner, MedianStoppingRule) or not getattr(self.inner, "_synch", True)):
            decision = TrialScheduler.CONTINUE
        exploits = self.inner.take_exploits() if isinstance(self.inner, Population) else []
        self.search.decide(int(trial.trial_id), Decision(decision), exploits)
        return str(decision)

    def on_trial_complete(self, controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        """Take in a trial that has ended."""
        if not result.get("interrupted"):
            self.inner.on_trial_complete(controller, trial, self._finite(result))

    def on_trial_remove(self, controller: Any, trial: Trial) -> None:
        """Take in a trial that ends while it is paused."""
        self.inner.on_trial_remove(controller, trial)

    def choose_trial_to_run(self, controller: Any) -> Trial | None:
        """Return a trial that is to run now."""
        with self.search.guarded():
            return self.inner.choose_trial_to_run(controller)

    def debug_string(self) -> str:
        """Return the scheduler's own description."""
        return str(self.inner.debug_string())

    def _finite(self, result: dict[str, Any]) -> dict[str, Any]:
        metric = self.metric
        value = result[metric]
        if math.isfinite(value):
            self.worst = max(self.worst, self.sign * value)
            return dict(result)
        return {**result, metric: self.sign * (self.worst if isinstance(self.inner, PB2) else WORST)}  # its model fits values


def keep_paused_actor(controller: Any, trial: Trial) -> None:
    """Let Tune keep one actor more for trials that come back from a pause, where it would start a process for each.

    Tune sizes its cache of actors by the trials that wait for resources, of which these need none.
    """
    controller._tune_controller._actor_cache.increase_max(trial.placement_group_factory)


class Population:
    """What Tune's population-based training lacks: params stay within the space, jobs valid, and exploits are told to whoever clones.

    A mixin for `PopulationBasedTraining` and `PB2`, of which it overrides two methods.
    """

    job: Job
    tries: int
    exploits: list[PlannedExploit]

    def take_exploits(self) -> list[PlannedExploit]:
        """Return the exploits since the last call."""
        exploits, self.exploits = self.exploits, []
        return exploits

    def _get_new_config(self, trial: Trial, trial_to_clone: Trial) -> tuple[Params, dict[str, Any]]:
        space = sweep_of(self.job).space
        for _ in range(self.tries):
            params, operations = super()._get_new_config(trial, trial_to_clone)  # type: ignore[misc]
            params = {path: clamped(space[path], value) for path, value in params.items()}
            with contextlib.suppress(GanrayError):
                trial_job(self.job, params, int(trial.trial_id))
                return params, operations
        return dict(trial_to_clone.config), {}

    def _exploit(self, tune_controller: Any, trial: Trial, trial_to_clone: Trial) -> None:
        super()._exploit(tune_controller, trial, trial_to_clone)  # type: ignore[misc]
        self.exploits.append(PlannedExploit(int(trial.trial_id), int(trial_to_clone.trial_id), dict(trial.config)))


class Pbt(Population, PopulationBasedTraining):
    """Population-based training."""


class Pb2(Population, PB2):
    """Population-based bandits."""


def clamped(dimension: Dimension, value: Any) -> Any:
    """Return the nearest value within a dimension: Tune multiplies past its ends."""
    return min(max(float(value), dimension.low), dimension.high) if isinstance(dimension, LogUniform | Uniform) else value


def _population(job: Job, config: PbtScheduler | Pb2Scheduler, rungs: list[int]) -> Pbt | Pb2:
    space = sweep_of(job).space
    common: dict[str, Any] = {"time_attr": "images", "perturbation_interval": rungs[0], "synch": config.synch, "log_config": False}
    common["quantile_fraction"] = config.quantile
    population: Pbt | Pb2
    if isinstance(config, PbtScheduler):
        mutations = {path: _mutations(dimension) for path, dimension in space.items()}
        options: dict[str, Any] = {"resample_probability": config.resample, "perturbation_factors": config.factors}
        population = Pbt(hyperparam_mutations=mutations, **options, **common)
    else:
        bounds: dict[str, Any] = {
            path: [dimension.low, dimension.high] for path, dimension in space.items() if isinstance(dimension, LogUniform | Uniform)
        }
        population = Pb2(hyperparam_bounds=bounds, **common)
    population.job, population.exploits = job, []
    population.tries = TRIES if isinstance(config, PbtScheduler) else 1
    return population


def _mutations(dimension: Dimension) -> Any:
    """Return what Tune perturbs: a range by factors, finitely many values to a neighbour."""
    return tune_domain(dimension) if isinstance(dimension, LogUniform | Uniform) else all_values(dimension)
