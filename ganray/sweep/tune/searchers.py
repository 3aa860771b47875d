"""Ray Tune's searchers, built from a sweep's configuration. They search over codes: see `ganray.config.space`."""

import contextlib
import itertools
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
from ray import tune
from ray.tune.search import Searcher
from ray.tune.search.sample import Domain
from ray.tune.search.variant_generator import generate_variants

from ganray.config import Sweep
from ganray.config.space import Choice, Dimension, LogUniform, Uniform
from ganray.config.sweep import BohbSearcher, GridSearcher, HyperoptSearcher, NevergradSearcher, OptunaSearcher
from ganray.errors import ConfigError
from ganray.sweep.plan import is_within


def build_searcher(sweep: Sweep, *, num_trials: int) -> Searcher:
    """Return Tune's searcher for a sweep. It is told of those params of `start_from` that lie within the space."""
    space = {path: tune_domain(dimension) for path, dimension in sorted(sweep.space.items())}
    known = [{path: sweep.space[path].encode(params[path]) for path in space} for params in sweep.start_from if is_within(sweep, params)]
    goal: dict[str, Any] = {"metric": sweep.metric, "mode": sweep.direction, "points_to_evaluate": known or None}
    match sweep.searcher:
        case OptunaSearcher(startup_trials=startup):
            import optuna
            from ray.tune.search.optuna import OptunaSearch

            optuna.logging.set_verbosity(optuna.logging.ERROR)
            sampler = optuna.samplers.TPESampler(multivariate=True, constant_liar=True, n_startup_trials=startup, seed=sweep.seed)
            return OptunaSearch(OptunaSearch.convert_search_space(space), sampler=sampler, **goal)
        case HyperoptSearcher(startup_trials=startup, gamma=gamma):
            from ray.tune.search.hyperopt import HyperOptSearch

            parameters = HyperOptSearch.convert_search_space(space)
            return HyperOptSearch(parameters, n_initial_points=startup, gamma=gamma, random_state_seed=sweep.seed, **goal)
        case NevergradSearcher(optimizer=name):
            return _nevergrad(space, goal, name=name, seed=sweep.seed, num_trials=num_trials)
        case BohbSearcher():
            from ray.tune.search.bohb import TuneBOHB

            return TuneBOHB(TuneBOHB.convert_search_space(space), seed=sweep.seed, **goal)
        case GridSearcher():
            codes = {path: tune.grid_search(range(len(values))) for path, values in sweep.finite_values.items()}
            return VariantSearcher(generate_variants({"config": codes}))
        case _:
            generator = np.random.RandomState(sweep.seed)
            draws = (generate_variants({"config": space}, random_state=generator) for _ in itertools.count())
            return VariantSearcher(itertools.chain.from_iterable(draws))


def tune_domain(dimension: Dimension) -> Any:
    """Return a dimension as Tune's domain of its codes."""
    if isinstance(dimension, LogUniform | Uniform):
        return (tune.loguniform if dimension.kind == "loguniform" else tune.uniform)(dimension.low, dimension.high)
    num_values = len(dimension.all_values())
    return tune.choice(range(num_values)) if isinstance(dimension, Choice) else tune.randint(0, num_values)


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


@contextlib.contextmanager
def seeded(*key: int) -> Iterator[None]:
    """Seed the global random generators, from which Tune and its searchers draw, while the block runs, and leave them as they were."""
    states = random.getstate(), np.random.get_state()
    random.seed(repr(key))
    np.random.seed(random.getrandbits(32))
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])


def _nevergrad(space: dict[str, Domain], goal: dict[str, Any], *, name: str, seed: int, num_trials: int) -> Searcher:
    import nevergrad
    from ray.tune.search.nevergrad import NevergradSearch

    optimizer: Any = nevergrad.optimizers.registry.get(name)
    if optimizer is None or optimizer.no_parallelization:  # which waits for a result before it suggests again
        problem = f"expected an optimizer of Nevergrad's that suggests several trials at once, got {name!r}"
        raise ConfigError("sweep.searcher.optimizer", problem, "use NGOpt, OnePlusOne, CMA, DE or PSO")
    parameters: Any = NevergradSearch.convert_search_space(space)
    parameters.random_state.seed(seed)
    return NevergradSearch(optimizer, {"budget": num_trials, "num_workers": num_trials}, parameters, **goal)
