"""A sweep from its job to its winner: data once, a search by Ray Tune, finalists, publication. `ganray sweep` and `ganray.run_sweep`."""

import contextlib
import dataclasses
from collections.abc import Iterator

import ray

from ganray.cluster.capacity import check_worker_group_fits
from ganray.cluster.session import ray_session
from ganray.cluster.shared_storage import check_shared
from ganray.config import Job
from ganray.data.preparation.prepare import prepare
from ganray.data.sources import list_source
from ganray.errors import ConfigError, TrainingDiverged
from ganray.registry.signing import load_private_key
from ganray.runs.opening import locked
from ganray.runs.resolve import MAY_CHANGE, resolve_job, resume_job
from ganray.runs.run import Run
from ganray.storage import ObjectStore
from ganray.sweep.driver import run_search
from ganray.sweep.finalists import publish_winner, score_finalists
from ganray.sweep.plan import check_packages, trials_job
from ganray.sweep.records import best_first, has_journal, read_trials, write_table
from ganray.sweep.result import SweepResult, read_result, write_result
from ganray.sweep.search import SweepEnd
from ganray.sweep.space import check_space, sweep_of
from ganray.train.context import WorkerContext, prepare_context
from ganray.train.reporter import LogReporter, Reporter
from ganray.train.train import open_storage

MAY_GROW = ("sweep.max_images", "sweep.max_hours")
MAY_CHANGE_TOO = ("sweep.max_concurrent", "sweep.callbacks", "sweep.finalists.num", "sweep.finalists.num_samples", "sweep.finalists.seed")


def run_sweep(job: Job, *, address: str | None = None, reporter: Reporter | None = None) -> SweepResult:
    """Search the job's space from where the sweep stands to its end, and publish the winner.

    The same call again resumes; on a finished sweep it does nothing but return the result. `address` is a Ray cluster's; see
    `ray_session`. Raises `GanrayError`, `TrainingDiverged` if no trial has a finite score.
    """
    reporter = reporter or LogReporter()
    check_space(job)
    check_packages(sweep_of(job))
    storage = open_storage(job)
    sweep = Run(storage, f"sweeps/{job.name}")
    if sweep.exists():
        if finished := read_result(sweep.store, resume_sweep(job, sweep.job)):
            return finished
    else:
        list_source(job.data.source)  # what is wrong with it is raised before anything is started or written
    if job.publish.signing_key:
        load_private_key(job.publish.signing_key, field="publish.signing_key")
    with connected(job, storage, address), locked(sweep) as lock:
        job = open_sweep(sweep, job, reporter)
        with shared_context(sweep, job, reporter) as context:
            reporter.stage("searching")
            found = run_search(context, reporter, lock)
            write_table(sweep.store, found.trials, {})
            return found if found.ended == SweepEnd.INTERRUPTED else conclude(context, found, reporter)


@contextlib.contextmanager
def connected(job: Job, storage: ObjectStore, address: str | None) -> Iterator[None]:
    """Be connected to a Ray cluster that can place a trial's workers and shares the storage, while the block runs."""
    with ray_session(address):
        check_worker_group_fits(job, workers=sweep_of(job).workers)
        storage.check_writable()
        check_shared(storage)
        yield


def open_sweep(sweep: Run, job: Job, reporter: Reporter) -> Job:
    """Return the resolved job of a sweep, which is created if it was not: its data is prepared, on Ray, and every `auto` decided."""
    reporter.stage("preparing data")
    if sweep.exists():
        dataset, job = sweep.dataset, resume_sweep(job, sweep.job)
        if read_trials(sweep.store) and not has_journal(sweep.store):
            raise ConfigError("name", f"sweep {job.name!r} was started by ganray 0.1, which kept no journal", "use another name")
    else:
        dataset = prepare(job.data, list_source(job.data.source), sweep.storage, progress=reporter.advance)
        job = resolve_job(trials_job(job), dataset.card)
    sweep.record(job, dataset)
    return job


def resume_sweep(job: Job, stored: Job) -> Job:
    """Return the stored job with what a resume may change. Raises `ConfigError` for any other difference, naming the field."""
    may_grow = MAY_GROW if sweep_of(job).is_population else (*MAY_GROW, "sweep.trials")
    return resume_job(trials_job(job), stored, may_grow=may_grow, may_change=(*MAY_CHANGE, *MAY_CHANGE_TOO))


@contextlib.contextmanager
def shared_context(sweep: Run, job: Job, reporter: Reporter) -> Iterator[WorkerContext]:
    """Give what all trials share while the block runs: one dataset, one extractor, one reference, one protocol."""
    context = prepare_context(sweep, job, sweep.dataset, reporter)
    try:
        yield context
    finally:
        ray.kill(context.progress_actor)


def conclude(context: WorkerContext, found: SweepResult, reporter: Reporter) -> SweepResult:
    """Score the finalists of a search that has ended, publish the winner, and record the result."""
    check_any_scored(found)
    reporter.stage("scoring the finalists")
    finalists = score_finalists(context, found.trials)
    winner, version = finalists[0].trial, None
    if context.job.publish.auto:
        reporter.stage("publishing")
        version = publish_winner(context, found.trials[winner], finalists[0])
    write_table(context.run.store, found.trials, {finalist.trial: finalist.score for finalist in finalists})
    result = dataclasses.replace(found, finalists=finalists, winner=winner, version=version)
    write_result(context.run, result, context.job)
    return result


def check_any_scored(found: SweepResult) -> None:
    """Raise `TrainingDiverged` if no trial has a score, or `ConfigError` if a limit ended the search before one could."""
    if best_first(found.trials, maximise=False):
        return
    reasons = ", ".join(sorted({trial.reason for trial in found.trials if trial.reason})) or "none was evaluated"
    problem = f"no trial has a finite score: {reasons}"
    if found.ended == SweepEnd.DONE:
        raise TrainingDiverged("sweep.space", problem, "mend what is named, or search lower learning rates")
    raise ConfigError("sweep.space", problem, f"raise sweep.{found.ended}")
