"""What a sweep's job amounts to: its trials' and finalists' jobs, what is checked of them before anything starts, and a dry run.

Knows neither torch nor ray.
"""

import contextlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from importlib.util import find_spec
from typing import Any

import numpy as np

from ganray.config import Job, Sweep, apply_overrides, check_job
from ganray.config.evaluate import SCORES, check_has_score, check_metric
from ganray.config.schedules import decide_schedules
from ganray.config.space import Choice, Dimension, in_words
from ganray.errors import ConfigError, GanrayError
from ganray.runs.trials import Params, trial_name
from ganray.train.dry_run import absolute, plan

ONE_FOR_ALL: tuple[str, ...] = ("name", "storage", "workers", "use_gpu", "resources", "data", "evaluate", "publish", "sweep")
ONE_FOR_ALL += ("train.total_images", "train.max_seconds", "train.max_failures", "train.keep_checkpoints", "train.start_from")
FIXED_WHEN_STARTED = ("networks", "seed", "train.batch_size", "train.precision", "penalties.spectral_norm")  # a cloned state has them
MAX_CHECKED = 500  # params that are validated before anything starts
OTHER_SEED = 1_000_003  # added to the job's: no evaluation of the sweep used these latents
MORE = 2  # times as many samples as a trial's evaluations
PACKAGES = {"hyperopt": "hyperopt", "nevergrad": "nevergrad", "bohb": "hpbandster", "pb2": "sklearn", "mlflow": "mlflow"}  # by extra
OF_A_RUN = ("run", "images", "checkpoints", "samples")  # rows of a plan that stand for one run, where a sweep has many


def trials_job(job: Job) -> Job:
    """Return the job with the workers and images of its trials, which decide what it resolves to."""
    values = {"workers": job.required_sweep.workers, "train.total_images": job.trial_images}
    return check_job(apply_overrides(job.model_dump(mode="json"), values))


def finalists_job(job: Job) -> Job:
    """Return a sweep's job as its finalists are scored and published."""
    finalists, evaluate = job.required_sweep.finalists, job.evaluate
    values = {
        "evaluate.num_samples": finalists.num_samples or MORE * evaluate.num_samples,
        "evaluate.seed": evaluate.seed + OTHER_SEED if finalists.seed is None else finalists.seed,
        "publish.model": job.model_name,
    }
    return check_job(apply_overrides(job.model_dump(mode="json"), values))


def rungs_of(job: Job) -> list[int]:
    """Return the budgets in images at which trials are scored and the scheduler decides; the last is a trial's whole budget."""
    return job.required_sweep.scheduler.rungs(job.trial_images)


def trial_job(job: Job, params: Params, number: int) -> Job:
    """Return the job of one trial of a sweep's job. Raises `ConfigError` if the params make it invalid."""
    sweep = job.required_sweep
    values = {
        "name": f"{job.name[:58]}-{trial_name(number)}",
        "workers": sweep.workers,
        "seed": job.seed + number if sweep.vary_seed else job.seed,
        "train.total_images": job.trial_images,
        "train.max_seconds": None,
        "divergence.on_collapse": sweep.on_collapse,
        "sweep": None,
    }
    return check_job(decide_schedules(apply_overrides(job.model_dump(mode="json"), {**values, **params}), job.trial_images))


def sample(space: Mapping[str, Dimension], *key: int) -> Params:
    """Return random params that depend on a key, such as (seed, number), alone."""
    quantiles = np.random.default_rng(key).random(len(space))
    return {path: space[path].at(float(quantile)) for path, quantile in zip(sorted(space), quantiles, strict=True)}


def is_within(sweep: Sweep, params: Params) -> bool:
    """Return whether params are a point of the space; those that are given, or that a population explores, need not be."""
    return all(path in params and dimension.contains(params[path]) for path, dimension in sweep.space.items())


def complete(job: Job, params: Params) -> Params:
    """Return params for each field of the space, those that are left out as the job has them; populations explore them all."""
    whole, sweep = job.model_dump(mode="json"), job.required_sweep
    given = {path: params[path] if path in params else _job_value(whole, path) for path in sweep.space}
    return {path: float(value) if path in sweep.ranges else value for path, value in given.items()}


def check_space(job: Job) -> None:
    """Raise `ConfigError`, showing one, if params of the space make jobs that cannot be, or fields are searched that must not.

    Nor must there be any that make jobs without the sweep's metric.
    """
    sweep = job.required_sweep
    if not job.evaluate.enabled:
        raise ConfigError("evaluate", "is none, and a sweep compares scores", "leave it out")
    for path in {*sweep.space, *itertools.chain.from_iterable(sweep.start_from)}:
        _check_path(path, sweep)
    generators = set()
    for params in _params_to_check(sweep):
        with _errors_of_space(params, sweep):
            trial = trial_job(job, params, 0)
        generators.add((trial.evaluate.extractor.kind, trial.networks.conditional))
    check_metric(job.data.modality.kind, sweep.metric, sweep.mode)
    for extractor, conditional in generators:
        check_has_score(sweep.metric, extractor=extractor, conditional=conditional)


def check_packages(sweep: Sweep) -> None:
    """Raise `ConfigError`, naming ganray's extra, if a package is missing that the searcher, scheduler or a callback needs."""
    asked: list[tuple[str, str]] = [("sweep.searcher", sweep.searcher.kind), ("sweep.scheduler", sweep.scheduler.kind)]
    for field, kind in asked + [("sweep.callbacks", callback) for callback in sweep.callbacks]:
        if kind in PACKAGES and find_spec(PACKAGES[kind]) is None:
            raise ConfigError(field, f"{kind} needs a package that is not installed", f"pip install 'ganray[{kind}]'")


def plan_sweep(job: Job, *, address: str | None = None) -> dict[str, Any]:
    """Return, by name and in reading order, what `ganray sweep` would do with this job, whose `sweep` section is there."""
    job = trials_job(job)
    sweep, budget, trials = job.required_sweep, job.train.total_images, job.required_sweep.num_trials
    limits = [f"{sweep.max_images:,} images in all"] if sweep.max_images else []
    limits += [f"{sweep.max_hours:g} hours"] if sweep.max_hours else []
    known = f", after {len(sweep.start_from)} that are given" if sweep.start_from else ""
    shared = {name: value for name, value in plan(job, address=address).items() if name not in OF_A_RUN}
    return {
        "sweep": job.name,
        "space": {path: in_words(dimension) for path, dimension in sweep.space.items()},
        "metric": f"{sweep.metric}, {SCORES[sweep.metric].direction if sweep.mode == 'auto' else sweep.mode}",
        "searcher": f"{sweep.searcher.kind}, seed {sweep.seed}{known}",
        "scheduler": f"{sweep.scheduler.kind}, rungs at {', '.join(f'{rung:,}' for rung in rungs_of(job))} images",
        "trials": f"{trials}, at most {budget:,} images each and {trials * budget:,} in all",
        "limits": ", or ".join(limits) or "none",
        "finalists": f"{sweep.finalists.num}, scored again on {finalists_job(job).evaluate.num_samples:,} samples",
        "records": f"{absolute(job.storage)}/sweeps/{job.name}",
        **shared,
        "workers": f"a trial has {shared['workers']}",
    }


def _job_value(job: Any, path: str) -> Any:
    value = reduce(lambda section, name: section.get(name) if isinstance(section, dict) else None, path.split("."), job)
    if isinstance(value, dict) or value is None:
        raise ConfigError("sweep.start_from", f"a population needs a value of {path}", "give one in each entry")
    return value


def _params_to_check(sweep: Sweep) -> Iterator[Params]:
    """Yield the params that go first, those at the ends of all dimensions, and random ones, up to a bound."""
    if sweep.searcher.kind == "grid":
        yield from itertools.islice(_combinations(sweep.finite_values), sweep.trials)
    yield {}
    yield from sweep.start_from
    ends = {path: [dimension.at(0.0), dimension.at(1 - 1e-12)] for path, dimension in sweep.space.items()}
    ends |= {path: dimension.values for path, dimension in sweep.space.items() if isinstance(dimension, Choice)}
    for path, values in ends.items():
        yield from ({path: value} for value in values)
    yield from itertools.islice(_combinations(ends), MAX_CHECKED)
    yield from (sample(sweep.space, sweep.seed, number) for number in range(min(sweep.trials, MAX_CHECKED)))


def _combinations(values: Mapping[str, Sequence[Any]]) -> Iterator[Params]:
    return (dict(zip(values, chosen, strict=True)) for chosen in itertools.product(*values.values()))


def _check_path(path: str, sweep: Sweep) -> None:
    field, kind = f"sweep.space.{path}", sweep.scheduler.kind
    if _is_below(path, ONE_FOR_ALL):
        raise ConfigError(field, "must be the same for all trials, so that they can be compared", "leave it out of the space")
    if sweep.is_population and (_is_below(path, FIXED_WHEN_STARTED) or path.endswith(".kind")):
        raise ConfigError(field, f"cannot change while a trial trains, as {kind} does", "leave it out, or use another scheduler")
    if kind == "pb2" and path in sweep.finite_values:
        raise ConfigError(field, "pb2 explores ranges of numbers only", "use uniform, loguniform or the scheduler pbt")


def _is_below(path: str, fields: tuple[str, ...]) -> bool:
    return any(path == field or path.startswith(f"{field}.") for field in fields)


@contextlib.contextmanager
def _errors_of_space(params: Params, sweep: Sweep) -> Iterator[None]:
    """Re-raise a trial's mistake as a `ConfigError` of the space, with the params that make it."""
    try:
        yield
    except GanrayError as error:
        named = f"sweep.space.{error.field}" if error.field in sweep.space else f"sweep.space: {error.field}"
        shown = ", ".join(f"{path}={value:g}" if isinstance(value, float) else f"{path}={value}" for path, value in params.items())
        raise ConfigError(named, f"{error.problem} (with {shown})" if shown else error.problem, error.remedy) from None
