"""The space of a sweep: drawing points, the points of a grid, and the job that a point makes. Points are {dotted path: value}."""

import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ganray.config import Job, Sweep, apply_overrides, check_job
from ganray.config.schedules import decide_schedules
from ganray.config.sweep import Choice, Dimension, LogUniform, PbtScheduler, QUniform, RandInt
from ganray.errors import ConfigError, GanrayError

Point = dict[str, Any]
ONE_FOR_ALL = ("name", "storage", "workers", "use_gpu", "resources", "data", "evaluate", "publish", "sweep", "train.total_images")
ONE_FOR_ALL += ("train.max_seconds", "train.max_failures", "train.keep_checkpoints")
FIXED_WHEN_STARTED = ("networks", "seed", "train.batch_size", "train.precision", "penalties.spectral_norm")  # a copied state has them
MAX_CHECKED = 500  # points that are validated before anything starts


def draw(space: Mapping[str, Dimension], *key: int) -> Point:
    """Return the point that a key, such as (seed, trial), stands for: the same whatever was drawn before."""
    shares = np.random.default_rng(key).random(len(space))
    return {path: value_at(space[path], float(share)) for path, share in zip(sorted(space), shares, strict=True)}


def value_at(dimension: Dimension, share: float) -> Any:
    """Return the value that lies a share of the way, 0 to below 1, through a dimension."""
    match dimension:
        case LogUniform(low=low, high=high):
            return math.exp(math.log(low) + share * (math.log(high) - math.log(low)))
        case Choice() | RandInt() | QUniform():
            values = all_values(dimension)
            return values[int(share * len(values))]
        case _:
            return dimension.low + share * (dimension.high - dimension.low)


def all_values(dimension: Dimension) -> list[Any]:
    """Return the values of a dimension that has finitely many."""
    match dimension:
        case Choice(values=values):
            return list(values)
        case RandInt(low=low, high=high):
            return list(range(low, high))
        case _:
            values = [dimension.low + number * dimension.step for number in range(num_steps(dimension))]
            whole = float(dimension.low).is_integer() and float(dimension.step).is_integer()
            return [int(value) if whole else float(f"{value:.12g}") for value in values]


def num_steps(dimension: QUniform) -> int:
    """Return how many values a stepped dimension has."""
    return math.floor((dimension.high - dimension.low) / dimension.step + 1e-9) + 1


def grid(space: Mapping[str, Dimension]) -> list[Point]:
    """Return every combination of a space's values; raise `GanrayError` for a dimension that has no finite number of them."""
    for path, dimension in space.items():
        if not isinstance(dimension, Choice | RandInt | QUniform):
            raise ConfigError(f"sweep.space.{path}", f"a grid cannot hold all of {dimension.kind}", "use choice or quniform")
    return list(_combinations({path: all_values(dimension) for path, dimension in space.items()}))


def trial_name(number: int) -> str:
    """Return a trial's name; names sort by age."""
    return f"{number:04d}"


def trial_job(job: Job, point: Point, number: int) -> Job:
    """Return the job of one trial; raise `GanrayError` if the point makes it invalid."""
    sweep = job.sweep
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
    return check_job(decide_schedules(apply_overrides(job.model_dump(mode="json"), {**values, **point}), images))


def check_space(job: Job) -> None:
    """Raise `GanrayError`, showing one, if points of the job's space make jobs that cannot be, or fields are searched that must not."""
    sweep = job.sweep
    if sweep is None:
        raise ConfigError("sweep", "the job has no such section", "say what to search, as jobs/fashion-mnist-sweep.yaml does")
    for path in {*sweep.space, *itertools.chain.from_iterable(sweep.start_from)}:
        _check_path(path, sweep)
    for point in _points_to_check(job):
        try:
            trial_job(job, point, 0)
        except GanrayError as error:
            raise _shown(error, point, sweep) from None


def _points_to_check(job: Job) -> Iterator[Point]:
    """Yield the points that go first, those at the ends of all dimensions, and those that will be drawn, up to a bound."""
    sweep = job.sweep
    if sweep.searcher.kind == "grid":
        yield from itertools.islice(grid(sweep.space), sweep.trials)
    yield {}
    yield from sweep.start_from
    ends = {path: _ends(dimension) for path, dimension in sweep.space.items()}
    for path, values in ends.items():
        yield from ({path: value} for value in values)
    yield from itertools.islice(_combinations(ends), MAX_CHECKED)
    yield from (draw(sweep.space, sweep.seed, number) for number in range(min(sweep.trials, MAX_CHECKED)))


def _ends(dimension: Dimension) -> list[Any]:
    return all_values(dimension) if isinstance(dimension, Choice) else [value_at(dimension, 0.0), value_at(dimension, 1 - 1e-12)]


def _combinations(values: Mapping[str, list[Any]]) -> Iterator[Point]:
    return (dict(zip(values, chosen, strict=True)) for chosen in itertools.product(*values.values()))


def _check_path(path: str, sweep: Sweep) -> None:
    if _is_below(path, ONE_FOR_ALL):
        raise ConfigError(
            f"sweep.space.{path}", "must be the same for all trials, so that they can be compared", "leave it out of the space"
        )
    if isinstance(sweep.scheduler, PbtScheduler) and (_is_below(path, FIXED_WHEN_STARTED) or path.endswith(".kind")):
        raise ConfigError(
            f"sweep.space.{path}", "cannot change while a trial trains, as pbt does", "leave it out, or use another scheduler"
        )


def _is_below(path: str, fields: tuple[str, ...]) -> bool:
    return any(path == field or path.startswith(f"{field}.") for field in fields)


def _shown(error: GanrayError, point: Point, sweep: Sweep) -> ConfigError:
    """Return a trial's mistake as one of the space, with the point that makes it."""
    named = f"sweep.space.{error.field}" if error.field in sweep.space else f"sweep.space: {error.field}"
    shown = ", ".join(f"{path}={value:g}" if isinstance(value, float) else f"{path}={value}" for path, value in point.items())
    return ConfigError(named, f"{error.problem} (with {shown})" if shown else error.problem, error.remedy)
