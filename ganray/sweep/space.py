"""The space and the metric of a sweep: the jobs that its params make, and what is checked of them before anything starts."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import reduce
from typing import Any

import numpy as np

from ganray.config import Job, RotationExtractor, Sweep, apply_overrides, check_job
from ganray.config.compatibility import KINDS
from ganray.config.evaluate import DEFAULT_SCORE, SCORES
from ganray.config.schedules import decide_schedules
from ganray.config.space import Choice, Dimension, LogUniform, Uniform
from ganray.errors import ConfigError, GanrayError, enumerated
from ganray.runs.trials import Params, trial_name

ONE_FOR_ALL: tuple[str, ...] = ("name", "storage", "workers", "use_gpu", "resources", "data", "evaluate", "publish", "sweep")
ONE_FOR_ALL += ("train.total_images", "train.max_seconds", "train.max_failures", "train.keep_checkpoints", "train.start_from")
FIXED_WHEN_STARTED = ("networks", "seed", "train.batch_size", "train.precision", "penalties.spectral_norm")  # a cloned state has them
METRIC, PREFIX = "sweep.metric", "metric/"
MAX_CHECKED = 500  # params that are validated before anything starts


def trial_job(job: Job, params: Params, number: int) -> Job:
    """Return the job of one trial of a sweep's job. Raises `ConfigError` if the params make it invalid."""
    sweep = job.required_sweep
    images = sweep.images or job.train.total_images
    values = {
        "name": f"{job.name[:58]}-{trial_name(number)}",
        "workers": sweep.workers,
        "seed": job.seed + number if sweep.vary_seed else job.seed,
        "train.total_images": images,
        "train.max_seconds": None,
        "divergence.on_collapse": sweep.on_collapse,
        "sweep": None,
    }
    return check_job(decide_schedules(apply_overrides(job.model_dump(mode="json"), {**values, **params}), images))


def sample(space: Mapping[str, Dimension], *key: int) -> Params:
    """Return random params that depend on a key, such as (seed, number), alone."""
    quantiles = np.random.default_rng(key).random(len(space))
    return {path: space[path].at(float(quantile)) for path, quantile in zip(sorted(space), quantiles, strict=True)}


def finite_values(space: Mapping[str, Dimension]) -> dict[str, Sequence[Any]]:
    """Return the values of each dimension. Raises `ConfigError` for one that has infinitely many."""
    values: dict[str, Sequence[Any]] = {}
    for path, dimension in sorted(space.items()):
        if isinstance(dimension, LogUniform | Uniform):
            raise ConfigError(f"sweep.space.{path}", f"a grid cannot hold all of {dimension.kind}", "use choice or quniform")
        values[path] = dimension.all_values()
    return values


def is_within(sweep: Sweep, params: Params) -> bool:
    """Return whether params are a point of the space; those that are given, or that a population explores, need not be."""
    return all(path in params and dimension.contains(params[path]) for path, dimension in sweep.space.items())


def complete(job: Job, params: Params) -> Params:
    """Return params for each field of the space, those that are left out as the job has them; populations explore them all."""
    whole, space = job.model_dump(mode="json"), job.required_sweep.space
    given = {path: params[path] if path in params else _job_value(whole, path) for path in space}
    return {path: float(value) if isinstance(space[path], LogUniform | Uniform) else value for path, value in given.items()}


def check_space(job: Job) -> None:
    """Raise `ConfigError`, showing one, if params of the space make jobs that cannot be, or fields are searched that must not.

    Nor must there be any that make jobs without the sweep's metric.
    """
    sweep = job.required_sweep
    check_metric(job)
    for path in {*sweep.space, *itertools.chain.from_iterable(sweep.start_from)}:
        _check_path(path, sweep)
    for params in _params_to_check(sweep):
        try:
            trial = trial_job(job, params, 0)
        except GanrayError as error:
            raise _shown(error, params, sweep) from None
        check_has_score(trial, sweep.metric)


def check_metric(job: Job) -> None:
    """Raise `ConfigError` if a sweep's metric is no score, or its mode not the way in which that is better."""
    sweep = job.required_sweep
    if not job.evaluate.enabled:
        raise ConfigError("evaluate", "is none, and a sweep compares scores", "leave it out")
    if sweep.metric not in SCORES:
        raise ConfigError(METRIC, f"there is no score {sweep.metric!r}", _meant(sweep.metric))
    rules, kind = KINDS[job.data.modality.kind], SCORES[sweep.metric]
    if job.data.modality.kind not in kind.kinds:
        having = [name for name, score in SCORES.items() if job.data.modality.kind in score.kinds]
        raise ConfigError(METRIC, f"{rules.nouns} have no {sweep.metric}", f"use {enumerated(having, last='or')}")
    if kind.mode is None and sweep.mode == "auto":
        raise ConfigError(METRIC, f"of {sweep.metric} {kind.direction}, neither less nor more", f"use {rules.score}, or set sweep.mode")
    if kind.mode and sweep.mode not in ("auto", kind.mode):
        raise ConfigError("sweep.mode", f"{sweep.mode} is against {sweep.metric}, of which {kind.direction}", "leave it at auto")


def check_has_score(job: Job, metric: str) -> None:
    """Raise `ConfigError` if generators of a job, a trial's or the sweep's own once it is resolved, do not have a score."""
    needs = SCORES[metric].needs
    if needs and isinstance(job.evaluate.extractor, RotationExtractor):
        problem = f"{metric} compares classes, which an extractor of kind rotation does not tell apart"
        raise ConfigError(METRIC, problem, f"use {DEFAULT_SCORE}, or data with labels and evaluate.extractor.kind=classifier")
    if needs == "conditional" and not job.networks.conditional:
        raise ConfigError(METRIC, f"only conditional generators have {metric}", "set networks.conditional=true, or use another score")


def _job_value(job: Any, path: str) -> Any:
    value = reduce(lambda section, name: section.get(name) if isinstance(section, dict) else None, path.split("."), job)
    if isinstance(value, dict) or value is None:
        raise ConfigError("sweep.start_from", f"a population needs a value of {path}", "give one in each entry")
    return value


def _params_to_check(sweep: Sweep) -> Iterator[Params]:
    """Yield the params that go first, those at the ends of all dimensions, and random ones, up to a bound."""
    if sweep.searcher.kind == "grid":
        yield from itertools.islice(_combinations(finite_values(sweep.space)), sweep.trials)
    yield {}
    yield from sweep.start_from
    ends = {path: dimension.values if isinstance(dimension, Choice) else _ends(dimension) for path, dimension in sweep.space.items()}
    for path, values in ends.items():
        yield from ({path: value} for value in values)
    yield from itertools.islice(_combinations(ends), MAX_CHECKED)
    yield from (sample(sweep.space, sweep.seed, number) for number in range(min(sweep.trials, MAX_CHECKED)))


def _ends(dimension: Dimension) -> list[Any]:
    return [dimension.at(0.0), dimension.at(1 - 1e-12)]


def _combinations(values: Mapping[str, Sequence[Any]]) -> Iterator[Params]:
    return (dict(zip(values, chosen, strict=True)) for chosen in itertools.product(*values.values()))


def _check_path(path: str, sweep: Sweep) -> None:
    field, kind = f"sweep.space.{path}", sweep.scheduler.kind
    if _is_below(path, ONE_FOR_ALL):
        raise ConfigError(field, "must be the same for all trials, so that they can be compared", "leave it out of the space")
    if sweep.is_population and (_is_below(path, FIXED_WHEN_STARTED) or path.endswith(".kind")):
        raise ConfigError(field, f"cannot change while a trial trains, as {kind} does", "leave it out, or use another scheduler")
    if kind == "pb2" and not isinstance(sweep.space.get(path), LogUniform | Uniform | None):
        raise ConfigError(field, "pb2 explores ranges of numbers only", "use uniform, loguniform or the scheduler pbt")


def _is_below(path: str, fields: tuple[str, ...]) -> bool:
    return any(path == field or path.startswith(f"{field}.") for field in fields)


def _shown(error: GanrayError, params: Params, sweep: Sweep) -> ConfigError:
    """Return a trial's mistake as one of the space, with the params that make it."""
    named = f"sweep.space.{error.field}" if error.field in sweep.space else f"sweep.space: {error.field}"
    shown = ", ".join(f"{path}={value:g}" if isinstance(value, float) else f"{path}={value}" for path, value in params.items())
    return ConfigError(named, f"{error.problem} (with {shown})" if shown else error.problem, error.remedy)


def _meant(name: str) -> str:
    """Return the score that a typo meant, or all that there are."""
    short = {known.removeprefix(PREFIX): known for known in SCORES}
    close = get_close_matches(name.lower().removeprefix(PREFIX), short, n=1)
    return f"did you mean {short[close[0]]}?" if close else f"use {', '.join(SCORES)}"
