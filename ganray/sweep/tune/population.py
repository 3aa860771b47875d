"""Ray Tune's schedulers of a population, which clone the best of it in place of the worst."""

import contextlib
from typing import TYPE_CHECKING, Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import PopulationBasedTraining

from ganray.config import Job
from ganray.config.space import LogUniform, Uniform
from ganray.config.sweep import Pb2Scheduler, PbtScheduler
from ganray.errors import GanrayError
from ganray.runs.trials import Params
from ganray.sweep.space import trial_job
from ganray.sweep.tune.searchers import tune_domain

if TYPE_CHECKING:
    from ganray.sweep.tune.bandits import Pb2


class Population:
    """What Tune's population-based training lacks: params stay within the space, jobs valid, and exploits are kept for the journal.

    A mixin for `PopulationBasedTraining` and `PB2`, of which it overrides two methods.
    """

    job: Job
    tries = 20  # explorations before the donor's own params are taken, where they make jobs that cannot be
    fits_scores = False  # whether a model of its own is fitted to scores
    exploits: dict[int, tuple[int, Params]]  # donor and params, by the trial that clones

    def take_exploits(self) -> dict[int, tuple[int, Params]]:
        """Return the exploits since the last call."""
        exploits, self.exploits = self.exploits, {}
        return exploits

    def _get_new_config(self, trial: Trial, trial_to_clone: Trial) -> tuple[Params, dict[str, Any]]:
        space = self.job.required_sweep.space
        for _ in range(self.tries):
            params, operations = super()._get_new_config(trial, trial_to_clone)  # type: ignore[misc]
            for path, dimension in space.items():
                if isinstance(dimension, LogUniform | Uniform):  # Tune multiplies past its ends
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


def build_population(job: Job, config: PbtScheduler | Pb2Scheduler, rungs: list[int], goal: dict[str, Any]) -> "Pbt | Pb2":
    """Return a population's scheduler, which perturbs ranges by factors, and moves finitely many values to neighbours."""
    space = job.required_sweep.space.items()
    ranges = {path: dimension for path, dimension in space if isinstance(dimension, LogUniform | Uniform)}
    others = {path: list(dimension.all_values()) for path, dimension in space if not isinstance(dimension, LogUniform | Uniform)}
    common: dict[str, Any] = {"time_attr": "images", "perturbation_interval": rungs[0], "log_config": False, **goal}
    common |= {"quantile_fraction": config.quantile, "synch": config.synch}
    if isinstance(config, PbtScheduler):
        mutations: dict[str, Any] = {**{path: tune_domain(dimension) for path, dimension in ranges.items()}, **others}
        common |= {"resample_probability": config.resample, "perturbation_factors": config.factors}
        population: Pbt | Pb2 = Pbt(hyperparam_mutations=mutations, **common)
    else:
        from ganray.sweep.tune import bandits

        population = bandits.Pb2(hyperparam_bounds={path: [dimension.low, dimension.high] for path, dimension in ranges.items()}, **common)
    population.job, population.exploits = job, {}
    return population
