"""A sweep from its job to its winner: data once, a search by Ray Tune, finalists, publication. `ganray sweep` and `ganray.run_sweep`."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import ray

from ganray.cluster.capacity import check_worker_group_fits
from ganray.config import Job
from ganray.data.card import DatasetCard
from ganray.errors import ConfigError
from ganray.evaluation.evaluation import prepare_evaluation
from ganray.registry.signing import load_private_key
from ganray.runs.opening import creation_of, locked, open_run
from ganray.runs.resolve import MAY_CHANGE, resolve_job, resume_job
from ganray.runs.run import Run
from ganray.runs.trials import read_trials
from ganray.sweep.driver import run_search
from ganray.sweep.finalists import publish_winner, score_finalists
from ganray.sweep.journal import FOLDER as JOURNAL
from ganray.sweep.plan import check_packages, trials_job
from ganray.sweep.result import SweepResult, check_any_scored, read_result, write_result, write_table
from ganray.sweep.search_state import SweepEnd
from ganray.sweep.space import check_has_score, check_space
from ganray.sweep.view import SweepView
from ganray.track.process import tracking
from ganray.track.sync import check_trackers
from ganray.train.context import WorkerContext, prepare_context
from ganray.train.reporter import Reporter
from ganray.train.train import connected, open_storage
from ganray.train.view import line_reporter

MAY_GROW = ("sweep.max_images", "sweep.max_hours")
MAY_CHANGE_TOO = ("sweep.max_concurrent", "sweep.callbacks", "sweep.finalists.num", "sweep.finalists.num_samples", "sweep.finalists.seed")


def run_sweep(job: Job, *, address: str | None = None, reporter: Reporter | None = None) -> SweepResult:
    """Search the job's space from where the sweep stands to its end, and publish the winner.

    The same call again resumes; on a finished sweep it does nothing but return the result. `address` is a Ray cluster's; see
    `ray_session`. Raises `GanrayError`, `TrainingDiverged` if no trial has a finite score.
    """
    reporter = reporter or line_reporter(SweepView())
    check_space(job)
    check_packages(job.required_sweep)
    check_trackers(job.track)
    job, storage = trials_job(job), open_storage(job)
    sweep = Run(storage, f"sweeps/{job.name}")
    creation = None
    if sweep.exists():
        job = resume_sweep(job, sweep.job)
        if finished := read_result(sweep, job):
            return finished
        check_has_journal(sweep)
    else:
        creation = creation_of(job, storage)
    if job.publish.signing_key:
        load_private_key(job.publish.signing_key, field="publish.signing_key")
    check = partial(check_worker_group_fits, workers=job.required_sweep.workers)
    with connected(job, storage, address, check) as job, locked(sweep) as lock, tracking(sweep, job.track):
        reporter.stage("preparing data")
        job = open_run(sweep, job, creation, progress=reporter.advance, resume=resume_sweep, resolve=resolve_sweep)
        with shared_context(sweep, job, reporter) as context:
            reporter.stage("searching")
            ended, trials, frame = run_search(context, reporter, lock)
            write_table(sweep.store, trials, {})
            found = SweepResult(job.name, sweep.uri, ended, sum(trial.images for trial in trials), trials, dataframe=frame)
            return found if ended == SweepEnd.INTERRUPTED else conclude(context, found, reporter)


def check_has_journal(sweep: Run) -> None:
    """Raise `ConfigError` for a sweep of ganray 0.1, which has trials, but no journal to go on by."""
    if read_trials(sweep.store) and not sweep.store.list(JOURNAL):
        raise ConfigError("name", f"sweep {sweep.name!r} was started by ganray 0.1, which kept no journal", "use another name")


def resume_sweep(job: Job, stored: Job) -> Job:
    """Return the stored job with what a resume may change. Raises `ConfigError` for any other difference, naming the field."""
    may_grow = MAY_GROW if job.required_sweep.is_population else (*MAY_GROW, "sweep.trials")
    return resume_job(job, stored, may_grow=may_grow, may_change=(*MAY_CHANGE, *MAY_CHANGE_TOO))


def resolve_sweep(job: Job, card: DatasetCard) -> Job:
    """Return the job with every `auto` resolved. Raises `ConfigError`, too, if generators of it do not have the sweep's metric."""
    job = resolve_job(job, card)
    check_has_score(job, job.required_sweep.metric)
    return job


@contextlib.contextmanager
def shared_context(sweep: Run, job: Job, reporter: Reporter) -> Iterator[WorkerContext]:
    """Give what all trials share while the block runs: one dataset, one extractor, one reference, one protocol."""
    prepare_evaluation(job, sweep.dataset, stage=reporter.stage, progress=reporter.advance)  # once, not in the first of each group
    context = prepare_context(sweep, job, sweep.dataset)
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
    result = replace(found, finalists=finalists, winner=winner, version=version)
    write_result(context.run, context.job, result)
    return result
