"""What a sweep's job amounts to: its trials' job, its finalists' job, how many trials, and their rungs. Knows neither torch nor ray."""

import math
from importlib.util import find_spec

from ganray.config import Job, Sweep, apply_overrides, check_job
from ganray.config.sweep import AshaScheduler, HyperbandScheduler, MedianScheduler, Pb2Scheduler, PbtScheduler
from ganray.errors import ConfigError
from ganray.sweep.space import grid, sweep_of

OTHER_SEED = 1_000_003  # added to the job's: no evaluation of the sweep used these latents
MORE = 2  # times as many samples as a trial's evaluations
PACKAGES = {"hyperopt": "hyperopt", "nevergrad": "nevergrad", "bohb": "hpbandster", "pb2": "sklearn", "mlflow": "mlflow"}  # by extra


def trials_job(job: Job) -> Job:
    """Return the job with the workers and images of its trials, which decide what it resolves to."""
    sweep = sweep_of(job)
    values = {"workers": sweep.workers, "train.total_images": sweep.images or job.train.total_images}
    return check_job(apply_overrides(job.model_dump(mode="json"), values))


def finalists_job(job: Job) -> Job:
    """Return a sweep's job as its finalists are scored and published."""
    finalists, evaluate = sweep_of(job).finalists, job.evaluate
    values = {
        "evaluate.num_samples": finalists.num_samples or MORE * evaluate.num_samples,
        "evaluate.seed": evaluate.seed + OTHER_SEED if finalists.seed is None else finalists.seed,
        "publish.model": job.model_name,
    }
    return check_job(apply_overrides(job.model_dump(mode="json"), values))


def count_trials(sweep: Sweep) -> int:
    """Return how many trials the sweep has: a grid may hold fewer than were asked for."""
    if sweep.searcher.kind != "grid":
        return sweep.trials
    return min(sweep.trials, len(grid(sweep.space)) + len(sweep.start_from))


def rungs_of(job: Job) -> list[int]:
    """Return the budgets in images at which trials are scored and the scheduler decides; the last is a trial's whole budget."""
    sweep = sweep_of(job)
    budget = sweep.images or job.train.total_images
    match sweep.scheduler:
        case AshaScheduler(min_images=first, reduction=reduction):
            first = first or max(budget // reduction**2, 1)
            num_rungs = math.ceil(math.log(max(budget / first, 1), reduction) - 1e-9)
            return [*(first * reduction**rung for rung in range(num_rungs)), budget]
        case HyperbandScheduler(min_images=every, reduction=reduction):
            every = every or max(budget // reduction**2, 1)
        case MedianScheduler(every=every) | PbtScheduler(every=every) | Pb2Scheduler(every=every):
            every = every or math.ceil(budget / 8)
        case _:
            every = budget
    return [*range(every, budget, every), budget]


def check_packages(sweep: Sweep) -> None:
    """Raise `ConfigError`, naming ganray's extra, if a package is missing that the searcher, scheduler or a callback needs."""
    asked: list[tuple[str, str]] = [("sweep.searcher", sweep.searcher.kind), ("sweep.scheduler", sweep.scheduler.kind)]
    asked += [("sweep.callbacks", callback) for callback in sweep.callbacks]
    for field, kind in asked:
        if kind in PACKAGES and find_spec(PACKAGES[kind]) is None:
            raise ConfigError(field, f"{kind} needs a package that is not installed", f"pip install 'ganray[{kind}]'")
