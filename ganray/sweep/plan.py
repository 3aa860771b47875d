"""What a sweep's job amounts to: its trials' and finalists' jobs, and what a dry run prints. Knows neither torch nor ray."""

import math
from importlib.util import find_spec
from typing import Any

from ganray.config import Job, Sweep, apply_overrides, check_job
from ganray.config.evaluate import SCORES
from ganray.config.space import Choice, Dimension, QUniform
from ganray.errors import ConfigError
from ganray.sweep.space import finite_values
from ganray.train.dry_run import absolute, plan

OTHER_SEED = 1_000_003  # added to the job's: no evaluation of the sweep used these latents
MORE = 2  # times as many samples as a trial's evaluations
PACKAGES = {"hyperopt": "hyperopt", "nevergrad": "nevergrad", "bohb": "hpbandster", "pb2": "sklearn", "mlflow": "mlflow"}  # by extra
OF_A_RUN = ("run", "images", "checkpoints", "samples")  # rows of a plan that stand for one run, where a sweep has many


def trials_job(job: Job) -> Job:
    """Return the job with the workers and images of its trials, which decide what it resolves to."""
    sweep = job.required_sweep
    values = {"workers": sweep.workers, "train.total_images": sweep.images or job.train.total_images}
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


def count_trials(sweep: Sweep) -> int:
    """Return how many trials the sweep has: a grid may hold fewer than were asked for."""
    if sweep.searcher.kind != "grid":
        return sweep.trials
    num_points = math.prod(len(values) for values in finite_values(sweep.space).values())
    return min(sweep.trials, num_points + len(sweep.start_from))


def rungs_of(job: Job) -> list[int]:
    """Return the budgets in images at which trials are scored and the scheduler decides; the last is a trial's whole budget."""
    return job.required_sweep.scheduler.rungs(job.required_sweep.images or job.train.total_images)


def check_packages(sweep: Sweep) -> None:
    """Raise `ConfigError`, naming ganray's extra, if a package is missing that the searcher, scheduler or a callback needs."""
    asked: list[tuple[str, str]] = [("sweep.searcher", sweep.searcher.kind), ("sweep.scheduler", sweep.scheduler.kind)]
    for field, kind in asked + [("sweep.callbacks", callback) for callback in sweep.callbacks]:
        if kind in PACKAGES and find_spec(PACKAGES[kind]) is None:
            raise ConfigError(field, f"{kind} needs a package that is not installed", f"pip install 'ganray[{kind}]'")


def plan_sweep(job: Job, *, address: str | None = None) -> dict[str, Any]:
    """Return, by name and in reading order, what `ganray sweep` would do with this job, whose `sweep` section is there."""
    job = trials_job(job)
    sweep, budget, trials = job.required_sweep, job.train.total_images, count_trials(job.required_sweep)
    limits = [f"{sweep.max_images:,} images in all"] if sweep.max_images else []
    limits += [f"{sweep.max_hours:g} hours"] if sweep.max_hours else []
    known = f", after {len(sweep.start_from)} that are given" if sweep.start_from else ""
    shared = {name: value for name, value in plan(job, address=address).items() if name not in OF_A_RUN}
    return {
        "sweep": job.name,
        "space": {path: _range(dimension) for path, dimension in sweep.space.items()},
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


def _range(dimension: Dimension) -> str:
    if isinstance(dimension, Choice):
        return f"choice of {', '.join(str(value) for value in dimension.values)}"
    step = f" by {dimension.step:g}" if isinstance(dimension, QUniform) else ""
    return f"{dimension.kind} from {dimension.low:g} to {dimension.high:g}{step}"
