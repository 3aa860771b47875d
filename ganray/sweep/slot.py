"""A slot: a Ray Train worker group that trains one leg after another, so that a trial starts in a second; Ray Tune runs its driver.

The driver takes no CPU. Workers ask the desk for legs, and leave when it has none for them, so that others get their place.
"""

import contextlib
import gc
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import ray
import torch
from ray import tune
from ray.train import WorkerGroupError

from ganray.cluster.session import use_settings
from ganray.config import Job
from ganray.errors import GanrayError
from ganray.gan.distributed import broadcast, rank, world_size
from ganray.runs.checkpoint import newest_checkpoint
from ganray.runs.layout import JOB, fold_metrics, read_metrics, write_json
from ganray.storage import ObjectStore
from ganray.sweep.desk import LEAVE
from ganray.sweep.records import trial_store
from ganray.sweep.search import LegOutcome
from ganray.sweep.space import trial_job
from ganray.train.context import WorkerContext
from ganray.train.progress import start_monitor
from ganray.train.train import BROKEN
from ganray.train.trainer import TrainingFailed, fit
from ganray.train.worker.loop import train_worker

REPORT_EVERY_S = 1.0
ASK_EVERY_S = 0.1
STOP_CHECK_S = 1.0
MAX_ERROR_LENGTH = 300  # characters of an error
RESTARTS = 20  # of a slot's workers, beyond what Ray Train does by itself; what they count against is the trial that they had


@dataclass(frozen=True)
class SweepContext:
    """What all trials share: one dataset, one extractor, one reference, one protocol. `workers.job` is the sweep's."""

    sweep: ObjectStore
    workers: WorkerContext
    desk: Any

    @property
    def job(self) -> Job:
        return self.workers.job


def run_slot(config: dict[str, Any], *, shared: SweepContext) -> None:
    """Drive the slot `config["slot"]`: start its workers and pass on what they say, until they leave."""
    use_settings()
    slot = config["slot"]
    setup = replace(shared.workers, monitor=start_monitor())
    with stop_when_closed(shared.desk) as asked:
        if setup.resident is not None:
            keep_training(partial(fit, setup, SlotReporter(shared), asked, lambda setup: train_legs(replace(shared, workers=setup), slot)))
        else:
            drive_streamed_legs(replace(shared, workers=setup), slot, asked)


def keep_training(train: Callable[[], None]) -> None:
    """Start a slot's workers again when they have died once too often for Ray Train: another trial may do better."""
    for _ in range(RESTARTS):
        try:
            return train()
        except TrainingFailed as error:
            if not isinstance(error.__cause__, WorkerGroupError):
                raise
    return train()


def train_legs(shared: SweepContext, slot: str) -> None:
    """Train, on each worker, the legs that the desk assigns to a slot, until it asks to leave."""
    fresh = True
    while (leg := broadcast(ask(shared.desk, slot, fresh) if rank() == 0 else None)) != LEAVE:
        fresh = False
        since = time.monotonic()
        ended, reason = train_leg(shared, leg)
        if rank() == 0:
            outcome = outcome_of(shared, leg["trial"], ended, reason=reason, busy_s=time.monotonic() - since)
            ray.get(shared.desk.hand_in.remote(slot, asdict(outcome)))


def drive_streamed_legs(shared: SweepContext, slot: str, asked: threading.Event) -> None:
    """Train, from a slot's driver, one leg with workers of its own after another: a stream belongs to one run."""
    fresh = True
    while (leg := ask(shared.desk, slot, fresh)) != LEAVE:
        fresh, since = False, time.monotonic()
        setup = replace(leg_setup(shared, leg), monitor=start_monitor())
        ended, reason = how_it_ends(partial(fit, setup, SlotReporter(shared, leg["trial"]), asked), setup)
        outcome = outcome_of(shared, leg["trial"], ended, reason=reason, busy_s=time.monotonic() - since)
        ray.get(shared.desk.hand_in.remote(slot, asdict(outcome)))


def ask(desk: Any, slot: str, fresh: bool) -> dict[str, Any] | str:
    """Wait for the desk's answer: a leg, or `LEAVE`."""
    while (answer := ray.get(desk.ask.remote(slot, fresh))) is None:
        fresh = False
        time.sleep(ASK_EVERY_S)
    return answer


def train_leg(shared: SweepContext, leg: dict[str, Any]) -> tuple[str, str | None]:
    """Train a leg on this worker, and return how it ended and why."""
    setup = leg_setup(shared, leg)
    if rank() == 0:
        setup.monitor.push.remote({"trial": leg["trial"], "images_seen": 0, shared.job.sweep.metric: None})
    try:
        return how_it_ends(partial(train_worker, setup), setup)
    except Exception as error:
        ray.get(shared.desk.fault.remote(leg["trial"], f"{type(error).__name__}: {error}"[:MAX_ERROR_LENGTH]))
        raise
    finally:
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def leg_setup(shared: SweepContext, leg: dict[str, Any]) -> WorkerContext:
    """Return the setup of a trial's run up to the end of a leg."""
    job, run = trial_job(shared.job, leg["point"], leg["trial"]), trial_store(shared.sweep, leg["trial"])
    write_json(run, JOB, job.model_dump(mode="json"))
    return replace(shared.workers, job=job, run=run, stop_at=leg["target"])


def how_it_ends(train: Callable[[], None], setup: WorkerContext) -> tuple[str, str | None]:
    """Train, again after each return to a checkpoint, and return how it ended and why. What is wrong with a trial is an end, too."""
    try:
        standing = broadcast(stands(setup) if rank() == 0 else None)
        while standing in ("new", "under way", "returned"):
            train()
            standing = broadcast(stands(setup) if rank() == 0 else None)
            if standing == "under way":
                return "asked", None
    except GanrayError as error:
        if world_size() > 1:
            raise  # what only one worker met must not leave the others waiting for it
        return "failed", str(error)
    return standing, last_event(setup.run) if standing in BROKEN else None


def stands(setup: WorkerContext) -> str:
    """Return how a trial stands: "new", "under way", "returned" (to a checkpoint, for another attempt), "done", or how it broke."""
    checkpoint, _ = newest_checkpoint(setup.run)
    if checkpoint is None:
        return "new"
    if checkpoint.progress.get("ended") in BROKEN:
        return checkpoint.progress["ended"]
    if checkpoint.images_seen >= setup.stop_at:
        return "done"
    return "returned" if checkpoint.progress.get("returned") else "under way"


def last_event(run: ObjectStore) -> str | None:
    """Return what was last said to be wrong with a trial."""
    events = [record["says"] for record in read_metrics(run) if record["kind"] == "event"]
    return events[-1] if events else None


def outcome_of(shared: SweepContext, number: int, ended: str, *, reason: str | None, busy_s: float) -> LegOutcome:
    """Return a leg's outcome, with the scores that its trial's store holds."""
    run, metric = trial_store(shared.sweep, number), shared.job.sweep.metric
    fold_metrics(run)
    scores = [record for record in read_metrics(run) if record["kind"] == "score"]
    curve = [[record["images_seen"], record[metric]] for record in scores if metric in record]
    checkpoint, _ = newest_checkpoint(run)
    best = checkpoint and checkpoint.progress["best"]
    return LegOutcome(
        number,
        ended,
        checkpoint.images_seen if checkpoint else 0,
        score=best and best["scores"].get(metric),
        last=curve[-1][1] if curve else None,
        best_images=best and best["images_seen"],
        reason=reason,
        busy_s=busy_s,
        curve=curve,
    )


class SlotReporter:
    """Passes on what a slot's workers say: progress through Tune, lines through the desk."""

    def __init__(self, shared: SweepContext, trial: int | None = None) -> None:
        self.desk, self.metric, self.trial = shared.desk, shared.job.sweep.metric, trial
        self.reported_at = 0.0

    def stage(self, title: str) -> None:
        """Nothing to pass on."""

    def advance(self, done: int, total: int) -> None:
        """Nothing to pass on."""

    def training(self, progress: dict[str, Any]) -> None:
        """Pass on how far the present trial is."""
        self.trial = trial = progress.get("trial", self.trial)
        if trial is not None and time.monotonic() - self.reported_at > REPORT_EVERY_S:
            self.reported_at = time.monotonic()
            tune.report({"trial": trial, "images": progress.get("images_seen", 0), "score": progress.get(self.metric)})

    def say(self, line: str) -> None:
        """Pass on a line, with the trial that it is most likely about."""
        self.desk.remark.remote(line if self.trial is None else f"trial {self.trial:04d}: {line}")


@contextlib.contextmanager
def stop_when_closed(desk: Any) -> Iterator[threading.Event]:
    """Give an event that is set once the sweep wants its legs to stop."""
    asked, over = threading.Event(), threading.Event()

    def watch() -> None:
        while not over.wait(STOP_CHECK_S) and not asked.is_set():
            if ray.get(desk.is_closed.remote()):
                asked.set()

    watcher = threading.Thread(target=watch, name="stop watch", daemon=True)
    watcher.start()
    try:
        yield asked
    finally:
        over.set()
        watcher.join()
