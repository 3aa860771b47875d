"""The driver of a search: Ray Tune's tuner in one thread, worker groups in others, and the loop that holds them to their limits."""

import io
import json
import logging
import threading
import time
from functools import partial
from typing import Any

import pandas as pd
import ray

from ganray.cluster.background import BackgroundCall
from ganray.cluster.capacity import max_worker_groups
from ganray.cluster.errors import results_of
from ganray.cluster.prometheus import SweepMetrics, has_agent
from ganray.cluster.scratch import scratch_folder
from ganray.cluster.signals import stop_on_signal
from ganray.config import Job, Sweep
from ganray.runs.checkpoints import Checkpoints
from ganray.runs.lock import DriverLock
from ganray.runs.run import Run
from ganray.runs.trials import Exploit, Trial, read_trials
from ganray.storage import MissingObject, ObjectStore
from ganray.sweep.journal import Journal, Trials
from ganray.sweep.plan import rungs_of
from ganray.sweep.pool import WorkerGroups
from ganray.sweep.search_state import SweepEnd
from ganray.sweep.tune.search import Search
from ganray.sweep.tune.tuner import build_tuner, keep_logs
from ganray.sweep.work_queue import ask, start_work_queue
from ganray.train.context import WorkerContext
from ganray.train.reporter import Reporter

logger = logging.getLogger(__name__)

STATE, DATAFRAME = "state.json", "tune_results.json"
TICK_S = 0.25
IDLE_TICKS = 2  # in a row, after which nothing is on its way between a trial and the queue either
GRACE_S = 15.0  # for Tune to end once the search is over
SAVE_EVERY_S = 10.0


def run_search(context: WorkerContext, reporter: Reporter, lock: DriverLock) -> tuple[SweepEnd, list[Trial], pd.DataFrame]:
    """Search from where the sweep's journal stands until the search is over or has to stop; return how, and what was found."""
    job, sweep = context.job, context.run
    known, frame = read_trials(sweep.store), read_data_frame(sweep.store)
    if frame is not None and len(known) >= job.required_sweep.num_trials and all(trial.status.is_over for trial in known):
        return SweepEnd.DONE, known, frame
    journal = Journal(sweep.store, sweep.fence)
    trials = Trials(rungs_of(job), journal.events)
    for trial, before in zip(trials.all, known, strict=False):
        trial.failures = before.failures
    queue = start_work_queue(trials, max_failures=job.train.max_failures, max_images=job.required_sweep.max_images)
    search = Search(job, journal, trials, ask=partial(ask, queue), clone=partial(clone_trials, sweep))
    try:
        frame = search_with_tune(search, queue, context, reporter, lock)
    finally:
        ray.kill(queue)
    return search.closed or SweepEnd.DONE, trials.all, frame


def search_with_tune(search: Search, queue: Any, context: WorkerContext, reporter: Reporter, lock: DriverLock) -> pd.DataFrame:
    """Run Tune in a thread and worker groups in others, and return Tune's results."""
    groups, timer, results = WorkerGroups(context, queue, search), Timer(search.store), list[Any]()
    with scratch_folder("sweep") as scratch, stop_on_signal() as stop:
        lock.on_lost(stop.set)  # since then nothing may be written any more
        tuner = build_tuner(context.job, search, queue, scratch)
        call = BackgroundCall(lambda: results.append(tuner.fit()), name="tune")
        try:
            drive(search, groups, call, timer, reporter, stop)
            groups.close()
        finally:
            search.is_over = True
            queue.dismiss.remote()
            call.join(GRACE_S)
            groups.kill()
            timer.save()
        context.run.check_fence()
        if error := search.failure or call.error:
            raise error
        search.settle()
        keep_logs(scratch, search.store)
    last = [{**(result.metrics or {}), "config": result.config or {}} for result in results[0]]
    frame = pd.json_normalize(last, sep="/")  # as `ResultGrid.get_dataframe` has them, which would need a logger's files
    search.store.write(DATAFRAME, frame.to_json(orient="split", double_precision=15).encode())
    return frame


def drive(search: Search, groups: WorkerGroups, tuner: BackgroundCall, timer: "Timer", reporter: Reporter, stop: threading.Event) -> None:
    """Run a search to its end: hold worker groups to the cluster and the work, the search to its limits, and show how it stands."""
    num_idle, metrics = 0, SweepMetrics(search.job.name) if has_agent() else None
    search.replay()
    tuner.start()
    while tuner.is_alive():
        tuner.join(TICK_S)
        num_idle = num_idle + 1 if search.tick() else 0
        search.places = count_places(search.job)
        if not search.closed and (end := limit_reached(search.sweep, timer, stop)):
            search.close(end)
            search.ask("close")
            groups.request_stop()
        groups.adjust(min(search.places, search.demand))
        if search.closed and num_idle >= IDLE_TICKS:
            search.is_over = True
            search.ask("dismiss")
        if time.monotonic() - timer.saved > SAVE_EVERY_S:
            timer.save()
        reporter.update(search.trials.all)
        if metrics:
            metrics.update(trial.status.value for trial in search.trials.all)


def count_places(job: Job) -> int:
    """Return how many trials may be under way at once, now."""
    sweep = job.required_sweep
    return min(max_worker_groups(job, workers=sweep.workers), sweep.max_concurrent or sweep.trials)


def limit_reached(sweep: Sweep, timer: "Timer", stop: threading.Event) -> SweepEnd | None:
    """Return why the search has to stop now, with checkpoints, if it has to."""
    if stop.is_set():
        logger.warning("stopping after checkpoints; once more to stop at once")
        return SweepEnd.INTERRUPTED
    if sweep.max_hours and timer.elapsed_s >= sweep.max_hours * 3600:
        logger.warning("max_hours=%g are over", sweep.max_hours)
        return SweepEnd.MAX_HOURS
    return None


def clone_trials(sweep: Run, exploits: dict[int, Exploit]) -> None:
    """Let trials of a population take over the states of others, in the store."""
    clone: Any = ray.remote(num_cpus=0, max_retries=3)(Checkpoints.clone)
    runs = [(sweep.trial(trial), sweep.trial(exploit["from"]), exploit["checkpoint"]) for trial, exploit in exploits.items()]
    results_of([clone.remote(run.checkpoints, donor.checkpoints, name) for run, donor, name in runs], "cloning states")


def read_data_frame(store: ObjectStore) -> pd.DataFrame | None:
    """Return Tune's results as they were written when the search ended."""
    try:
        return pd.read_json(io.BytesIO(store.read(DATAFRAME)), orient="split", dtype=False)
    except MissingObject:
        return None


class Timer:
    """The seconds that a sweep has been searched, over all of its drivers; kept in its store."""

    def __init__(self, store: ObjectStore) -> None:
        self.store = store
        try:
            self.before_s: float = json.loads(store.read(STATE))["elapsed_s"]
        except MissingObject:
            self.before_s = 0.0
        self.started = self.saved = time.monotonic()

    @property
    def elapsed_s(self) -> float:
        """The seconds so far."""
        return self.before_s + time.monotonic() - self.started

    def save(self) -> None:
        """Write the seconds down."""
        self.saved = time.monotonic()
        self.store.write(STATE, json.dumps({"elapsed_s": self.elapsed_s}).encode())
