"""Importance of searched fields by PED-ANOVA (Watanabe et al. 2023), as Optuna evaluates it."""

import math
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, create_trial

from ganray.config import Sweep
from ganray.config.space import Choice, Dimension, LogUniform, QUniform, RandInt
from ganray.runs.trials import Trial

MIN_TRIALS = 4


def importances(sweep: Sweep, trials: list[Trial]) -> dict[str, float]:
    """Return each field's importance, shares of 1 in falling order; nothing where trials or fields are too few to tell."""
    space = {path: distribution for path, dimension in sweep.space.items() if not (distribution := _distribution(dimension)).single()}
    known = [trial for trial in trials if trial.score is not None and math.isfinite(trial.score) and space.keys() <= trial.params.keys()]
    if not space or len(known) < MIN_TRIALS:
        return {}
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        study = optuna.create_study(direction="maximize" if sweep.maximise else "minimize")
        study.add_trials([_frozen(trial, space) for trial in known])
        return optuna.importance.get_param_importances(study, evaluator=optuna.importance.PedAnovaImportanceEvaluator())
    finally:
        optuna.logging.set_verbosity(verbosity)


def _distribution(dimension: Dimension) -> BaseDistribution:
    """Return a dimension of the space as Optuna's distribution."""
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


def _frozen(trial: Trial, space: dict[str, BaseDistribution]) -> FrozenTrial:
    params = {path: _clamp(trial.params[path], distribution) for path, distribution in space.items()}
    return create_trial(params=params, distributions=space, value=trial.score)


def _clamp(value: Any, distribution: BaseDistribution) -> Any:
    """Return the nearest value of the range: what was given rather than suggested (`start_from`) may lie outside."""
    if isinstance(distribution, CategoricalDistribution):
        return _category(value) if _category(value) in distribution.choices else distribution.choices[0]
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    return min(max(float(value), distribution.low), distribution.high)
