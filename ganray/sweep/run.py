"""A sweep from its job to its winner: data once, trials under Ray Tune, finalists, publication. `ganray sweep` and `ganray.run_sweep`."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, Protocol

import ray

from ganray.cluster.capacity import check_worker_group_fits, max_worker_groups
from ganray.cluster.session import ray_session
from ganray.cluster.shared_storage import check_shared
from ganray.cluster.signals import stop_on_signal
from ganray.config import Job
from ganray.data.dataset import PreparedDataset
from ganray.data.sources import list_source
from ganray.errors import ConfigError
from ganray.runs.layout import read_json, write_json
from ganray.runs.lock import sole_driver
from ganray.storage import ObjectStore
from ganray.sweep.desk import start_desk
from ganray.sweep.execute import execute
from ganray.sweep.finalists import publish_winner, score_finalists
from ganray.sweep.population import carry_out
from ganray.sweep.proposals import num_trials, propose
from ganray.sweep.records import JOB, RESULT, Trial, best_first, read_trials, sweep_store, write_table, write_trials
from ganray.sweep.search import Search
from ganray.sweep.slot import SweepContext
from ganray.sweep.space import check_space
from ganray.sweep.stored import Clock, limits, open_sweep, resume_sweep
from ganray.train.reporter import LogReporter, Reporter
from ganray.train.train import open_storage, worker_context


class SweepReporter(Reporter, Protocol):
    """Takes what a sweep has to say."""

    def trials(self, trials: list[Trial], *, slots: int) -> None:
        """How the trials stand, and how many can run at once."""


class LogSweepReporter(LogReporter):
    """Writes stages and lines to the package's log."""

    def trials(self, trials: list[Trial], *, slots: int) -> None:
        """A log has no table."""


@dataclass(frozen=True)
class SweepResult:
    """How a sweep stands. `ended` is "done", "max_images", "max_hours", or "asked" (stopped; the same command goes on).

    `trials` are the records of `trials.jsonl`; `finalists` hold trial, first score, second score and both protocols, best first.
    """

    name: str
    sweep: str
    ended: str
    images_seen: int
    trials: list[dict[str, Any]]
    finalists: list[dict[str, Any]]
    winner: int | None
    version: str | None
    was_finished: bool = False


def run_sweep(job: Job, *, address: str | None = None, reporter: SweepReporter | None = None) -> SweepResult:
    """Search the job's space from where the sweep stands to its end, and publish the winner.

    The same call again resumes; on a finished sweep it does nothing but return the result. `address` is a Ray cluster's; see
    `ray_session`. Raises `GanrayError` for what the user has to change.
    """
    reporter = reporter or LogSweepReporter()
    check_space(job)
    storage = open_storage(job)
    sweep = sweep_store(storage, job.name)
    if (stored := read_json(sweep, JOB)) is None:
        list_source(job.data.source)  # what is wrong with it is said before anything is started or written
    else:
        job = resume_sweep(job, stored)
        if finished := look_up(job, sweep):
            return finished
    with ray_session(address, dashboard=True):
        check_worker_group_fits(job, workers=job.sweep.workers)
        storage.check_writable()
        check_shared(storage)
        with sole_driver(sweep, job.name, say=reporter.say):
            job, prepared = open_sweep(job, sweep, storage, reporter)
            return search_and_publish(job, sweep, prepared, reporter)


def look_up(job: Job, sweep: ObjectStore) -> SweepResult | None:
    """Return the result of a sweep that has nothing left to do within its limits."""
    result = read_json(sweep, RESULT)
    return SweepResult(**{**result, "was_finished": True}) if result and result.pop("limits") == limits(job) else None


def search_and_publish(job: Job, sweep: ObjectStore, prepared: PreparedDataset, reporter: SweepReporter) -> SweepResult:
    """Do what is left of a sweep."""
    with shared_by_trials(job, sweep, prepared, reporter) as shared:
        search = make_search(job, sweep)
        reporter.stage("searching")
        ended = run_search(search, shared, reporter)
        write_table(sweep, search.trials, [])
        images = sum(trial.images for trial in search.trials)
        stopped = SweepResult(job.name, sweep.uri, ended, images, [asdict(trial) for trial in search.trials], [], None, None)
        return stopped if ended == "asked" else conclude(job, shared, search.trials, stopped, reporter)


@contextlib.contextmanager
def shared_by_trials(job: Job, sweep: ObjectStore, prepared: PreparedDataset, reporter: SweepReporter) -> Iterator[SweepContext]:
    """Give what all trials share while the block runs; Tune would keep its actors alive for as long as this process."""
    shared = SweepContext(sweep, worker_context(job, sweep, prepared, reporter), start_desk())
    try:
        yield shared
    finally:
        for actor in (shared.desk, shared.workers.monitor):
            ray.kill(actor)


def conclude(job: Job, shared: SweepContext, trials: list[Trial], found: SweepResult, reporter: SweepReporter) -> SweepResult:
    """Score the finalists of a search that has ended, publish the winner, and write all down."""
    check_any_scored(trials, found.ended)
    reporter.stage("scoring the finalists")
    finalists = score_finalists(job, shared, trials)
    winner, version = finalists[0]["trial"], None
    if job.publish.auto:
        reporter.stage("publishing")
        version = publish_winner(job, shared, trials[winner], finalists, say=reporter.say)
    write_table(shared.sweep, trials, finalists)
    result = replace(found, finalists=finalists, winner=winner, version=version)
    write_json(shared.sweep, RESULT, {"limits": limits(job), **asdict(result)})
    return result


def make_search(job: Job, sweep: ObjectStore) -> Search:
    """Return the search of a resolved job, with the trials that its store knows."""
    return Search(
        job.sweep,
        budget=job.sweep.images or job.train.total_images,
        num_trials=num_trials(job.sweep),
        max_failures=job.train.max_failures,
        trials=read_trials(sweep),
        propose=partial(propose, job.sweep),
        exploit=lambda trials, images: carry_out(job, sweep, trials, images),
        changed=partial(write_trials, sweep),
    )


def run_search(search: Search, shared: SweepContext, reporter: SweepReporter) -> str:
    """Run the search until it is over or has to stop, and return how it ended."""
    if search.is_done:
        return "done"
    job = shared.job
    clock = Clock(shared.sweep)
    slots = slot_counter(job)
    with stop_on_signal() as asked:
        tick = partial(_tick, search, shared, clock, reporter, asked, slots)
        execute(search, shared, count_slots=slots, tick=tick, say=reporter.say)
    clock.save()
    return search.closed or "done"


def slot_counter(job: Job) -> Callable[[], int]:
    """Return what counts how many trials may run at once, now."""
    most = job.sweep.max_concurrent
    return lambda: min(max_worker_groups(job, workers=job.sweep.workers), most or job.sweep.trials)


def check_any_scored(trials: list[Trial], ended: str) -> None:
    """Raise `GanrayError` if no trial has a score, as the search ended."""
    if best_first(trials, maximise=False):
        return
    reasons = ", ".join(sorted({trial.reason for trial in trials if trial.reason})) or "none was evaluated"
    remedy = "mend what is named, or search lower learning rates" if ended == "done" else f"raise sweep.{ended}"
    raise ConfigError("sweep.space", f"no trial has a finite score: {reasons}", remedy)


def _tick(search: Search, shared: SweepContext, clock: Clock, reporter: SweepReporter, asked: Any, slots: Callable[[], int]) -> None:
    """Show how the sweep stands, and close it when it has been asked to stop or has used up its hours."""
    reporter.trials(search.trials, slots=slots())
    clock.tick()
    limit = shared.job.sweep.max_hours
    why = "asked" if asked.is_set() else "max_hours" if limit and clock.elapsed_s >= limit * 3600 else None
    if why and not search.closed:
        search.close(why)
        shared.desk.close.remote()
        reporter.say("stopping after checkpoints; once more to stop at once" if why == "asked" else f"max_hours={limit:g} are over")
