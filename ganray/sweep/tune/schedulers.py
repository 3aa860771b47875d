"""Ray Tune's schedulers, built from a sweep's configuration: what populations lack there, and the wrapper that makes any repeatable."""

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

from ganray.config import Job
from ganray.config.sweep import AshaScheduler, HyperbandScheduler, MedianScheduler, Pb2Scheduler, PbtScheduler
from ganray.errors import GanrayError
from ganray.runs.trials import Params
from ganray.sweep.plan import trial_job
from ganray.sweep.tune.promotion import PromotingAsha
from ganray.sweep.tune.search import Search
from ganray.sweep.tune.searchers import seeded, tune_domain

WORST = 1e12  # what schedulers see of a score that is not finite: percentiles of infinities are not numbers


def build_scheduler(job: Job, search: Search) -> "RepeatableScheduler":
    """Return the sweep's scheduler. All but hyperband count in images; hyperband's brackets count rungs."""
    sweep, rungs = job.required_sweep, search.trials.rungs
    goal: dict[str, Any] = {"metric": sweep.metric, "mode": sweep.direction}
    scheduler: TrialScheduler
    match sweep.scheduler:
        case AshaScheduler(promote=True, reduction=reduction):
            scheduler = PromotingAsha(rungs, reduction, search)
        case AshaScheduler(reduction=reduction):
            images: dict[str, Any] = {"time_attr": "images", "grace_period": rungs[0], "max_t": rungs[-1]}
            scheduler = AsyncHyperBandScheduler(**images, reduction_factor=reduction, **goal)
        case HyperbandScheduler(reduction=reduction):
            kind = HyperBandForBOHB if sweep.searcher.kind == "bohb" else HyperBandScheduler
            scheduler = kind(time_attr="rung", max_t=len(rungs), reduction_factor=reduction, **goal)
        case MedianScheduler(min_images=grace, min_trials=num):
            scheduler = MedianStoppingRule(time_attr="images", grace_period=grace or rungs[0], min_samples_required=num, **goal)
        case PbtScheduler() | Pb2Scheduler():
            scheduler = build_population(job, sweep.scheduler, rungs, goal)
        case _:
            scheduler = FIFOScheduler()
    return RepeatableScheduler(scheduler, search)


class RepeatableScheduler:
    """Any scheduler of Tune's, whose decisions depend on the results that it meets, their order and a seed, and on nothing else.

    Random numbers are seeded at each decision (Tune draws from the global generators, which its own loop draws from too). Scores that
    are not finite count as worst. A trial whose process died and was started again is neither new nor failed. Trials need no
    resources, so that none pauses in favour of others that wait to start. Everything else is the wrapped scheduler's.
    """

    def __init__(self, inner: TrialScheduler, search: Search) -> None:
        self.inner, self.search, self.metric = inner, search, search.sweep.metric
        self.sign = -1.0 if search.sweep.maximise else 1.0
        self.known: set[str] = set()
        self.worst = 0.0  # of the finite scores so far, more is worse

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def __getstate__(self) -> dict[str, Any]:
        """Return nothing: Tune saves what it is given for `Tuner.restore`, which is not used."""
        return {}

    def set_search_properties(self, metric: str | None, mode: str | None, **spec: Any) -> bool:
        """Take nothing: the scheduler was built with the sweep's metric and mode."""
        return True

    def on_trial_add(self, controller: Any, trial: Trial) -> None:
        """Take in a new trial, and have Tune keep one actor more for trials that come back from a pause.

        Tune sizes its cache of actors by the trials that wait for resources, of which these need none; it would start a process each.
        """
        if trial.trial_id not in self.known:
            self.known.add(trial.trial_id)
            controller._tune_controller._actor_cache.increase_max(trial.placement_group_factory)
            self.inner.on_trial_add(controller, trial)

    def on_trial_error(self, controller: Any, trial: Trial) -> None:
        """Take in a trial whose process died once too often; one that is only being restarted has this status."""
        if trial.status != Trial.ERROR:
            self.inner.on_trial_error(controller, trial)

    def on_trial_result(self, controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Return what becomes of a trial that has reported."""
        number, seen = int(trial.trial_id), self._finite(result)
        with self.search.guarded(), seeded(self.search.sweep.seed, number, result["images"]):
            decision: Any = self.inner.on_trial_result(controller, trial, seen)
        result.update({key: seen[key] for key in seen.keys() - result.keys()})  # what BOHB's searcher is told through it
        if decision == "PAUSE" and (isinstance(self.inner, MedianStoppingRule) or not getattr(self.inner, "_synch", True)):
            decision = "CONTINUE"
        exploits: dict[int, tuple[int, Params]] = {}
        if isinstance(self.inner, Population):
            exploits, self.inner.exploits = self.inner.exploits, {}
        self.search.decide(number, decision, exploits)
        return str(decision)

    def on_trial_complete(self, controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        """Take in a trial that has ended."""
        if not self.search.is_over:
            self.inner.on_trial_complete(controller, trial, self._finite(result))

    def choose_trial_to_run(self, controller: Any) -> Trial | None:
        """Return a trial that is to run now; once the search is over, ask Tune to end all."""
        if self.search.is_over:
            controller._tune_controller.request_stop_experiment()
            return None
        with self.search.guarded():
            return self.inner.choose_trial_to_run(controller)

    def _finite(self, result: dict[str, Any]) -> dict[str, Any]:
        value = result[self.metric]
        if math.isfinite(value):
            self.worst = max(self.worst, self.sign * value)
            return dict(result)
        return {**result, self.metric: self.sign * (self.worst if isinstance(self.inner, Population) and self.inner.fits_scores else WORST)}


class Population:
    """What Tune's population-based training lacks: params stay within the space, jobs valid, and exploits are kept for the journal.

    A mixin for `PopulationBasedTraining` and `PB2`, of which it overrides two methods.
    """

    job: Job
    tries = 20  # explorations before the donor's own params are taken; 1 of PB2, whose model takes each for one that is under way
    fits_scores = False  # whether a model of its own is fitted to scores, as PB2's is
    exploits: dict[int, tuple[int, Params]]  # donor and params, by the trial that clones

    def _get_new_config(self, trial: Trial, trial_to_clone: Trial) -> tuple[Params, dict[str, Any]]:
        for _ in range(self.tries):
            params, operations = super()._get_new_config(trial, trial_to_clone)  # type: ignore[misc]
            for path, dimension in self.job.required_sweep.ranges.items():  # Tune multiplies past their ends
                params[path] = min(max(float(params[path]), dimension.low), dimension.high)
            with contextlib.suppress(GanrayError):
                trial_job(self.job, params, int(trial.trial_id))
                return params, operations
        return dict(trial_to_clone.config), {}

    def _exploit(self, tune_controller: Any, trial: Trial, trial_to_clone: Trial) -> None:
        super()._exploit(tune_controller, trial, trial_to_clone)  # type: ignore[misc]
        self.exploits[int(trial.trial_id)] = int(trial_to_clone.trial_id), dict(trial.config)


class Pbt(Population, PopulationBasedTraining):
    """Population-based training."""


def build_population(job: Job, config: PbtScheduler | Pb2Scheduler, rungs: list[int], goal: dict[str, Any]) -> Any:
    """Return a population's scheduler, which perturbs ranges by factors, and moves finitely many values to neighbours."""
    sweep = job.required_sweep
    common: dict[str, Any] = {"time_attr": "images", "perturbation_interval": rungs[0], "log_config": False, **goal}
    common |= {"quantile_fraction": config.quantile, "synch": config.synch}
    if isinstance(config, PbtScheduler):
        mutations: dict[str, Any] = {path: tune_domain(dimension) for path, dimension in sweep.ranges.items()}
        mutations |= {path: list(values) for path, values in sweep.finite_values.items()}
        common |= {"resample_probability": config.resample, "perturbation_factors": config.factors}
        population: Any = Pbt(hyperparam_mutations=mutations, **common)
    else:
        from ray.tune.schedulers.pb2 import PB2  # its Gaussian process imports scikit-learn, which takes seconds

        class Pb2(Population, PB2):
            """Population-based bandits."""

            tries, fits_scores = 1, True

        population = Pb2(hyperparam_bounds={path: [dimension.low, dimension.high] for path, dimension in sweep.ranges.items()}, **common)
    population.job, population.exploits = job, {}
    return population
