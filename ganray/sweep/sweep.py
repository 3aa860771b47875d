"""A sweep from its job to its winner: data once, a search by Ray Tune, finalists, publication. `ganray sweep` and `ganray.run_sweep`."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import pandas as pd
import ray

from ganray.cluster.capacity import check_worker_group_fits
from ganray.cluster.gpus import decide_gpus
from ganray.cluster.session import ray_session
from ganray.cluster.shared_storage import check_shared
from ganray.config import Job
from ganray.data.preparation.changes import warn_of_change_in_background
from ganray.data.preparation.prepare import prepare
from ganray.data.sources import list_source
from ganray.data.sources.rows import Listing
from ganray.errors import ConfigError, TrainingDiverged
from ganray.evaluation.evaluation import prepare_evaluation
from ganray.registry.signing import load_private_key
from ganray.runs.opening import locked
from ganray.runs.resolve import MAY_CHANGE, resolve_job, resume_job
from ganray.runs.run import Run
from ganray.runs.start import Start, find_start, record_start
from ganray.storage import MissingObject, ObjectStore
from ganray.sweep.driver import read_data_frame, run_search
from ganray.sweep.finalists import Finalist, publish_winner, score_finalists
from ganray.sweep.metric import check_has_score
from ganray.sweep.plan import check_packages, trials_job
from ganray.sweep.records import RESULT, Trial, best_first, read_trials, write_table
from ganray.sweep.search_state import SweepEnd
from ganray.sweep.space import check_space
from ganray.sweep.table import SweepView
from ganray.track.process import tracking
from ganray.track.sync import check_trackers
from ganray.train.context import WorkerContext, prepare_context
from ganray.train.reporter import Reporter
from ganray.train.train import open_storage
from ganray.train.view import line_reporter

MAY_GROW = ("sweep.max_images", "sweep.max_hours")
MAY_CHANGE_TOO = ("sweep.max_concurrent", "sweep.callbacks", "sweep.finalists.num", "sweep.finalists.num_samples", "sweep.finalists.seed")


@dataclass(frozen=True)
class SweepResult:
    """A sweep's trials by number, and its finalists, best first. After an interruption or at a limit the same command goes on.

    `winner` is the number of the best finalist's trial, and `version` the URI that it was published as, if it was. `dataframe` is
    Ray Tune's `ResultGrid` as a data frame: the last result of each trial, and its params as `config/<dotted path>`.
    """

    name: str
    sweep: str
    ended: SweepEnd
    images_seen: int
    trials: list[Trial]
    finalists: list[Finalist] = field(default_factory=list)
    winner: int | None = None
    version: str | None = None
    was_finished: bool = False
    dataframe: pd.DataFrame | None = field(default=None, compare=False, repr=False)

    def to_json(self) -> dict[str, Any]:
        """Return plain data, without the data frame."""
        plain = {name: value for name, value in vars(self).items() if name != "dataframe"}
        trials, finalists = [asdict(trial) for trial in self.trials], [finalist.to_json() for finalist in self.finalists]
        return {**plain, "trials": trials, "finalists": finalists}


def run_sweep(job: Job, *, address: str | None = None, reporter: Reporter | None = None) -> SweepResult:
    """Search the job's space from where the sweep stands to its end, and publish the winner.

    The same call again resumes; on a finished sweep it does nothing but return the result. `address` is a Ray cluster's; see
    `ray_session`. Raises `GanrayError`, `TrainingDiverged` if no trial has a finite score.
    """
    reporter = reporter or line_reporter(SweepView(job))
    check_space(job)
    check_packages(job.required_sweep)
    check_trackers(job.track)
    storage = open_storage(job)
    sweep = Run(storage, f"sweeps/{job.name}")
    listing = start = None
    if sweep.exists():
        job = resume_sweep(job, sweep.job)
        if finished := read_result(sweep, job):
            return finished
    else:
        listing = list_source(job.data, storage)  # what is wrong with it is raised before anything is started or written
        start = find_start(job)
    if job.publish.signing_key:
        load_private_key(job.publish.signing_key, field="publish.signing_key")
    with connected(job, storage, address) as job, locked(sweep) as lock, tracking(sweep, job.track):
        job = open_sweep(sweep, job, listing, start, reporter)
        with shared_context(sweep, job, reporter) as context:
            reporter.stage("searching")
            ended, trials, frame = run_search(context, reporter, lock)
            write_table(sweep.store, trials, {})
            found = SweepResult(job.name, sweep.uri, ended, sum(trial.images for trial in trials), trials, dataframe=frame)
            return found if ended == SweepEnd.INTERRUPTED else conclude(context, found, reporter)


@contextlib.contextmanager
def connected(job: Job, storage: ObjectStore, address: str | None) -> Iterator[Job]:
    """Be connected to a Ray cluster that can place a trial's workers and shares the storage; give the job with its GPUs decided."""
    with ray_session(address):
        job = job.model_copy(update={"use_gpu": decide_gpus(trials_job(job)).use_gpu})
        check_worker_group_fits(job, workers=job.required_sweep.workers)
        storage.check_writable()
        check_shared(storage)
        yield job


def open_sweep(sweep: Run, job: Job, listing: Listing | None, start: Start | None, reporter: Reporter) -> Job:
    """Return the resolved job of a sweep, which is created if it was not: its data is prepared, on Ray, and every `auto` decided."""
    reporter.stage("preparing data")
    if sweep.exists():
        dataset, job = sweep.dataset, resume_sweep(job, sweep.job)
        if read_trials(sweep.store) and not sweep.store.list("journal/"):
            raise ConfigError("name", f"sweep {job.name!r} was started by ganray 0.1, which kept no journal", "use another name")
        warn_of_change_in_background(job.data, dataset)
    else:
        assert listing is not None, f"{sweep.uri} vanished"
        dataset = prepare(job.data, listing, sweep.storage, progress=reporter.advance)
        job = resolve_job(trials_job(job), dataset.card)
        check_has_score(job, job.required_sweep.metric)
        if start:
            record_start(sweep, job, start, dataset.card)
    sweep.record(job, dataset)
    return job


def resume_sweep(job: Job, stored: Job) -> Job:
    """Return the stored job with what a resume may change. Raises `ConfigError` for any other difference, naming the field."""
    may_grow = MAY_GROW if job.required_sweep.is_population else (*MAY_GROW, "sweep.trials")
    return resume_job(trials_job(job), stored, may_grow=may_grow, may_change=(*MAY_CHANGE, *MAY_CHANGE_TOO))


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
    context.run.check_fence()
    stored = {"limits": _limits(context.job), **result.to_json()}
    context.run.store.write(RESULT, (json.dumps(stored, indent=1) + "\n").encode())
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


def read_result(sweep: Run, job: Job) -> SweepResult | None:
    """Return the result of a sweep that has nothing left to do within a job's limits."""
    try:
        stored = json.loads(sweep.store.read(RESULT))
    except MissingObject:
        return None
    if stored.pop("limits") != _limits(job):
        return None
    known: dict[str, Any] = {"ended": SweepEnd(stored["ended"]), "was_finished": True, "dataframe": read_data_frame(sweep.store)}
    known["trials"] = [Trial.from_json(trial) for trial in stored["trials"]]
    known["finalists"] = [Finalist.from_json(row) for row in stored["finalists"]]
    return SweepResult(**{**stored, **known})


def _limits(job: Job) -> dict[str, Any]:
    """Return what decides whether a sweep that has ended has more to do."""
    sweep = job.required_sweep
    finalists = sweep.finalists.model_dump(mode="json")
    return {"trials": sweep.trials, "max_images": sweep.max_images, "max_hours": sweep.max_hours, "finalists": finalists}
