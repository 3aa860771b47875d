"""A sweep from its job to its winner: data once, a search by Ray Tune, finalists, publication. `ganray sweep` and `ganray.run_sweep`."""

from dataclasses import replace
from functools import partial

from ganray.cluster.capacity import check_worker_group_fits
from ganray.config import Job
from ganray.config.evaluate import check_has_score
from ganray.data.card import DatasetCard
from ganray.errors import ConfigError
from ganray.evaluation.evaluation import prepare_evaluation
from ganray.runs.opening import connected, find_run, locked, open_run
from ganray.runs.resolve import MAY_CHANGE, resolve_job, resume_job
from ganray.runs.run import Run
from ganray.runs.trials import read_trials, write_table
from ganray.storage import open_job_storage
from ganray.sweep.driver import run_search
from ganray.sweep.journal import FOLDER as JOURNAL
from ganray.sweep.plan import check_packages, check_space, trials_job
from ganray.sweep.result import SweepResult, check_any_scored, publish_winner, read_result, score_finalists, write_result
from ganray.sweep.search_state import SweepEnd
from ganray.sweep.view import SweepView
from ganray.track.process import tracking
from ganray.track.sync import check_trackers
from ganray.train.context import WorkerContext, prepare_context
from ganray.train.reporter import Reporter
from ganray.train.view import line_reporter

MAY_GROW = ("sweep.max_images", "sweep.max_hours")
MAY_CHANGE_TOO = ("sweep.max_concurrent", "sweep.callbacks", "sweep.finalists.num", "sweep.finalists.num_samples", "sweep.finalists.seed")


def run_sweep(job: Job, *, address: str | None = None, reporter: Reporter | None = None) -> SweepResult:
    """Search the job's space from where the sweep stands to its end, and publish the winner.

    The same call again resumes; on a finished sweep it does nothing but return the result. `address` is a Ray cluster's; see
    `ray_session`. Raises `GanrayError`, `TrainingDiverged` if no trial has a finite score.
    """
    reporter = reporter or line_reporter(SweepView())
    check_packages(job.required_sweep)
    check_space(job)
    job = trials_job(job)
    check_trackers(job.track)
    sweep = Run(open_job_storage(job.storage), f"sweeps/{job.name}")
    job, creation = find_run(sweep, job, resume=resume_sweep)
    if not creation and (finished := read_result(sweep, job.required_sweep)):
        return finished
    check_has_journal(sweep)
    check = partial(check_worker_group_fits, workers=job.required_sweep.workers)
    with connected(job, sweep.storage, address, check) as job, locked(sweep) as lock, tracking(sweep, job.track):
        reporter.stage("preparing data")
        job = open_run(sweep, job, creation, progress=reporter.advance, resume=resume_sweep, resolve=resolve_sweep)
        evaluation = prepare_evaluation(job, sweep.dataset, stage=reporter.stage, progress=reporter.advance)  # once, for all trials
        context = prepare_context(sweep, job, sweep.dataset, evaluation)
        reporter.stage("searching")
        ended, trials, frame = run_search(context, reporter, lock)
        found = SweepResult(job.name, sweep.uri, ended, sum(trial.images for trial in trials), trials, dataframe=frame)
        write_table(sweep.store, trials, {})
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
    check_has_score(job.required_sweep.metric, extractor=job.evaluate.extractor.kind, conditional=job.networks.conditional)
    return job


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
    write_result(context.run, context.job.required_sweep, result)
    return result
