"""What the next trial of a sweep shall be, as its searcher proposes: by number and by what is known, so that a sweep can be repeated."""

from typing import Any

from ganray.config import Sweep
from ganray.config.sweep import Choice, Dimension, LogUniform, OptunaSearcher, QUniform, RandInt
from ganray.sweep.records import BROKE, FINISHED, Trial
from ganray.sweep.space import Point, draw, grid

MAX_SEED = 2**32


def num_trials(sweep: Sweep) -> int:
    """Return how many trials the sweep has: a grid may hold fewer than were asked for."""
    if sweep.searcher.kind != "grid":
        return sweep.trials
    return min(sweep.trials, len(grid(sweep.space)) + len(sweep.start_from))


def propose(sweep: Sweep, trials: list[Trial]) -> Point:
    """Return the point of the trial that follows those that there are."""
    number = len(trials)
    if number < len(sweep.start_from):
        return dict(sweep.start_from[number])
    match sweep.searcher:
        case OptunaSearcher(startup_trials=startup):
            return ask_optuna(sweep, trials) if number >= startup else draw(sweep.space, sweep.seed, number)
        case searcher if searcher.kind == "grid":
            return grid(sweep.space)[number - len(sweep.start_from)]
        case _:
            return draw(sweep.space, sweep.seed, number)


def ask_optuna(sweep: Sweep, trials: list[Trial]) -> Point:
    """Return what the estimator proposes after these trials. A study is made anew each time, so nothing of it has to be kept."""
    import optuna

    study = make_study(sweep, trials)
    study.sampler = optuna.samplers.TPESampler(
        multivariate=True, constant_liar=True, n_startup_trials=0, seed=(sweep.seed * 1_000_003 + len(trials)) % MAX_SEED
    )
    asked = study.ask(distributions(sweep))
    return {path: _from_optuna(sweep.space[path], value) for path, value in asked.params.items()}


def make_study(sweep: Sweep, trials: list[Trial]) -> Any:
    """Return trials as an Optuna study: what was stopped counts by its last rung, what broke down as worse than all of that."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction="maximize" if sweep.maximise else "minimize")
    study.add_trials([_frozen(sweep, trial) for trial in trials if sweep.space.keys() <= trial.point.keys() and _is_inside(sweep, trial)])
    return study


def distributions(sweep: Sweep) -> dict[str, Any]:
    """Return a sweep's space as Optuna's distributions."""
    return {path: _distribution(dimension) for path, dimension in sorted(sweep.space.items())}


def _distribution(dimension: Dimension) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    match dimension:
        case Choice(values=values):
            return CategoricalDistribution([_category(value) for value in values])
        case RandInt(low=low, high=high):
            return IntDistribution(low, high - 1)
        case QUniform(low=low, high=high, step=step):
            return FloatDistribution(low, high, step=step)
        case _:
            return FloatDistribution(dimension.low, dimension.high, log=isinstance(dimension, LogUniform))


def _category(value: Any) -> Any:
    """Return a choice as Optuna takes it: lists by what they are written as."""
    return str(value) if isinstance(value, list) else value


def _from_optuna(dimension: Dimension, value: Any) -> Any:
    if isinstance(dimension, Choice):
        return next(choice for choice in dimension.values if _category(choice) == value)
    return int(value) if isinstance(dimension, QUniform) and float(value).is_integer() else value


def _is_inside(sweep: Sweep, trial: Trial) -> bool:
    """Return whether a trial's point lies in the space: one that was given, or that pbt has moved, need not."""
    for path, distribution in distributions(sweep).items():
        try:
            if not distribution._contains(distribution.to_internal_repr(_category(trial.point[path]))):
                return False
        except ValueError:
            return False
    return True


def _frozen(sweep: Sweep, trial: Trial) -> Any:
    from optuna.trial import TrialState, create_trial

    params = {path: _category(trial.point[path]) for path in sorted(sweep.space)}
    known = {"params": params, "distributions": distributions(sweep)}
    curve = {leg["images"]: leg["score"] for leg in trial.legs if leg["score"] is not None}
    if trial.status in BROKE:
        return create_trial(state=TrialState.PRUNED, **known)
    if trial.status == FINISHED and trial.score is not None:
        return create_trial(state=TrialState.COMPLETE, value=trial.score, intermediate_values=curve, **known)
    if trial.legs:
        return create_trial(state=TrialState.PRUNED, intermediate_values=curve, **known)
    return create_trial(state=TrialState.RUNNING, **known)
