"""The space of a sweep: its dimensions as values and codes, the job that params make, and what is checked before anything starts."""

import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ganray.config import Job, Sweep, apply_overrides, check_job
from ganray.config.schedules import decide_schedules
from ganray.config.sweep import Choice, Dimension, LogUniform, Pb2Scheduler, QUniform, RandInt, Uniform
from ganray.errors import ConfigError, GanrayError
from ganray.sweep.records import Params, trial_name

ONE_FOR_ALL: tuple[str, ...] = (
    "name",
    "storage",
    "workers",
    "use_gpu",
    "resources",
    "data",
    "evaluate",
    "publish",
    "sweep",
    "train.total_images",
)
ONE_FOR_ALL += ("train.max_seconds", "train.max_failures", "train.keep_checkpoints")
FIXED_WHEN_STARTED = ("networks", "seed", "train.batch_size", "train.precision", "penalties.spectral_norm")  # a cloned state has them
MAX_CHECKED = 500  # params that are validated before anything starts


def sample(space: Mapping[str, Dimension], *key: int) -> Params:
    """Return random params that depend on a key, such as (seed, number), alone."""
    quantiles = np.random.default_rng(key).random(len(space))
    return {path: value_at(space[path], float(quantile)) for path, quantile in zip(sorted(space), quantiles, strict=True)}


def value_at(dimension: Dimension, quantile: float) -> Any:
    """Return a quantile, 0 to below 1, of a dimension."""
    match dimension:
        case LogUniform(low=low, high=high):
            return math.exp(math.log(low) + quantile * (math.log(high) - math.log(low)))
        case Uniform(low=low, high=high):
            return low + quantile * (high - low)
        case _:
            values = all_values(dimension)
            return values[int(quantile * len(values))]


def all_values(dimension: Choice | RandInt | QUniform) -> list[Any]:
    """Return the values of a dimension that has finitely many."""
    match dimension:
        case Choice(values=values):
            return list(values)
        case RandInt(low=low, high=high):
            return list(range(low, high))
        case QUniform(low=low, step=step):
            num_steps = math.floor((dimension.high - low) / step + 1e-9) + 1
            multiples = [low + number * step for number in range(num_steps)]
            is_whole = float(low).is_integer() and float(step).is_integer()
            return [int(value) if is_whole else float(f"{value:.12g}") for value in multiples]


def contains(dimension: Dimension, value: Any) -> bool:
    """Return whether a value lies in a dimension; params that were given, or that a population has moved, need not."""
    match dimension:
        case LogUniform() | Uniform():
            return isinstance(value, int | float) and dimension.low <= value <= dimension.high
        case _:
            return value in all_values(dimension)


def encode(dimension: Dimension, value: Any) -> Any:
    """Return what searchers see of a value: numbers of a range as they are, others by their place, which every searcher can take."""
    return all_values(dimension).index(value) if isinstance(dimension, Choice | QUniform) else value


def decode(dimension: Dimension, code: Any) -> Any:
    """Return the value that a searcher means."""
    match dimension:
        case Choice() | QUniform():
            return all_values(dimension)[int(code)]
        case RandInt():
            return int(code)
        case _:
            return float(code)


def grid(space: Mapping[str, Dimension]) -> list[Params]:
    """Return every combination of a space's values. Raises `ConfigError` for a dimension that has infinitely many."""
    for path, dimension in space.items():
        if isinstance(dimension, LogUniform | Uniform):
            raise ConfigError(f"sweep.space.{path}", f"a grid cannot hold all of {dimension.kind}", "use choice or quniform")
    return list(_combinations({path: all_values(dimension) for path, dimension in space.items()}))  # type: ignore[arg-type]


def trial_job(job: Job, params: Params, number: int) -> Job:
    """Return the job of one trial of a sweep's job. Raises `ConfigError` if the params make it invalid."""
    sweep = sweep_of(job)
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


def sweep_of(job: Job) -> Sweep:
    """Return a job's sweep section. Raises `ConfigError` if it has none."""
    if job.sweep is None:
        raise ConfigError("sweep", "the job has no such section", "add one that says what to search, as jobs/fashion-mnist-sweep.yaml does")
    return job.sweep


def check_space(job: Job) -> None:
    """Raise `ConfigError`, showing one, if params of the space make jobs that cannot be, or fields are searched that must not."""
    sweep = sweep_of(job)
    for path in {*sweep.space, *itertools.chain.from_iterable(sweep.start_from)}:
        _check_path(path, sweep)
    for params in _params_to_check(sweep):
        try:
            trial_job(job, params, 0)
        except GanrayError as error:
            raise _shown(error, params, sweep) from None


def complete(job: Job, params: Params) -> Params:
    """Return params for each field of the space, those that are left out as the job has them; populations explore them all."""
    sweep, whole = sweep_of(job), job.model_dump(mode="json")
    given = {path: params[path] if path in params else _job_value(whole, path) for path in sweep.space}
    return {
        path: float(given[path]) if isinstance(dimension, LogUniform | Uniform) else given[path] for path, dimension in sweep.space.items()
    }


def _job_value(job: Any, path: str) -> Any:
    value = job
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    if isinstance(value, dict) or value is None:
        raise ConfigError("sweep.start_from", f"a population needs a value of {path}", "give one in each entry")
    return value


def _params_to_check(sweep: Sweep) -> Iterator[Params]:
    """Yield the params that go first, those at the ends of all dimensions, and random ones, up to a bound."""
    if sweep.searcher.kind == "grid":
        yield from itertools.islice(grid(sweep.space), sweep.trials)
    yield {}
    yield from sweep.start_from
    ends = {path: _ends(dimension) for path, dimension in sweep.space.items()}
    for path, values in ends.items():
        yield from ({path: value} for value in values)
    yield from itertools.islice(_combinations(ends), MAX_CHECKED)
    yield from (sample(sweep.space, sweep.seed, number) for number in range(min(sweep.trials, MAX_CHECKED)))


def _ends(dimension: Dimension) -> list[Any]:
    return all_values(dimension) if isinstance(dimension, Choice) else [value_at(dimension, 0.0), value_at(dimension, 1 - 1e-12)]


def _combinations(values: Mapping[str, list[Any]]) -> Iterator[Params]:
    return (dict(zip(values, chosen, strict=True)) for chosen in itertools.product(*values.values()))


def _check_path(path: str, sweep: Sweep) -> None:
    field = f"sweep.space.{path}"
    if _is_below(path, ONE_FOR_ALL):
        raise ConfigError(field, "must be the same for all trials, so that they can be compared", "leave it out of the space")
    if sweep.is_population and (_is_below(path, FIXED_WHEN_STARTED) or path.endswith(".kind")):
        problem = f"cannot change while a trial trains, as {sweep.scheduler.kind} does"
        raise ConfigError(field, problem, "leave it out, or use another scheduler")
    if isinstance(sweep.scheduler, Pb2Scheduler) and not isinstance(sweep.space.get(path), LogUniform | Uniform | None):
        raise ConfigError(field, "pb2 explores ranges of numbers only", "use uniform, loguniform or the scheduler pbt")


def _is_below(path: str, fields: tuple[str, ...]) -> bool:
    return any(path == field or path.startswith(f"{field}.") for field in fields)


def _shown(error: GanrayError, params: Params, sweep: Sweep) -> ConfigError:
    """Return a trial's mistake as one of the space, with the params that make it."""
    named = f"sweep.space.{error.field}" if error.field in sweep.space else f"sweep.space: {error.field}"
    shown = ", ".join(f"{path}={value:g}" if isinstance(value, float) else f"{path}={value}" for path, value in params.items())
    return ConfigError(named, f"{error.problem} (with {shown})" if shown else error.problem, error.remedy)
