"""What a sweep would search, described without starting anything. Knows neither torch nor ray."""

from typing import Any

from ganray.config import Job
from ganray.config.sweep import Choice, Dimension, QUniform
from ganray.sweep.plan import count_trials, finalists_job, rungs_of, trials_job
from ganray.sweep.space import sweep_of
from ganray.train.dry_run import absolute, plan

OF_A_RUN = ("run", "images", "checkpoints", "samples")  # rows of a plan that stand for one run, where a sweep has many


def plan_sweep(job: Job, *, address: str | None = None) -> dict[str, Any]:
    """Return, by name and in reading order, what `ganray sweep` would do with this job, whose `sweep` section is there."""
    job = trials_job(job)
    sweep, budget = sweep_of(job), job.train.total_images
    trials = count_trials(sweep)
    limits = [f"{sweep.max_images:,} images in all"] if sweep.max_images else []
    limits += [f"{sweep.max_hours:g} hours"] if sweep.max_hours else []
    known = f", after {len(sweep.start_from)} that are given" if sweep.start_from else ""
    shared = {name: value for name, value in plan(job, address=address).items() if name not in OF_A_RUN}
    return {
        "sweep": job.name,
        "space": {path: _range(dimension) for path, dimension in sweep.space.items()},
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
