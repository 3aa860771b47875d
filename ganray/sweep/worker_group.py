"""What the workers of a sweep do: train one piece after another, of whichever trial, without being started again in between."""

import gc
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch

from ganray.errors import GanrayError, RunLocked
from ganray.gan.distributed import broadcast, rank, world_size
from ganray.runs.metrics_log import last_event, scores_of
from ganray.runs.run import Run
from ganray.runs.status import RunStatus
from ganray.sweep.pieces import Outcome, Piece, PieceEnd
from ganray.sweep.records import trial_name
from ganray.sweep.space import sweep_of, trial_job
from ganray.sweep.work_queue import WorkQueue
from ganray.train.context import WorkerContext
from ganray.train.worker.loop import train_worker

MAX_ERROR_LENGTH = 300  # characters


def train_pieces(context: WorkerContext, queue: WorkQueue, group: str) -> None:
    """Train, on each worker of a group, the pieces that the work queue has, until it has none. `context` is the sweep's own."""
    fresh = True
    while (piece := broadcast(queue.take(group, fresh) if rank() == 0 else None)) is not None:
        fresh, since = False, time.monotonic()
        try:
            ended, reason = train_piece(context, piece, train_worker)
        except Exception as error:
            queue.report_error(group, f"{type(error).__name__}: {error}"[:MAX_ERROR_LENGTH])
            raise
        if rank() == 0:
            queue.finish(group, outcome_of(context, piece, ended, reason=reason, busy_s=time.monotonic() - since))
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def train_piece(context: WorkerContext, piece: Piece, train: Callable[[WorkerContext], None]) -> tuple[PieceEnd, str | None]:
    """Train a piece by `train`, once more after each rollback, and return how it ended and why."""
    try:
        own = piece_context(context, piece)
    except GanrayError as error:  # on every rank alike
        return PieceEnd.FAILED, str(error)
    if rank() == 0:
        own.run.record(own.job, own.dataset)
        own.progress_actor.push.remote({"trial": piece.trial, "images_seen": 0, sweep_of(context.job).metric: None})
    try:
        return train_to_budget(own, partial(train, own))
    except RunLocked:
        return PieceEnd.INTERRUPTED, None
    except GanrayError as error:
        if world_size() > 1:
            raise  # what only one worker met must not leave the others waiting for it
        return PieceEnd.FAILED, str(error)


def train_to_budget(context: WorkerContext, train: Callable[[], None]) -> tuple[PieceEnd, str | None]:
    """Train a run until it has ended, once more after each rollback."""
    status = _status(context)
    while status.end_reason is None:
        train()
        status = _status(context)
        if status in (RunStatus.NEW, RunStatus.UNFINISHED):
            return PieceEnd.INTERRUPTED, None
    if status in (RunStatus.DIVERGED, RunStatus.COLLAPSED):
        return PieceEnd(status.value), last_event(context.run.metrics()) if rank() == 0 else None
    return PieceEnd.DONE, None


def piece_context(context: WorkerContext, piece: Piece) -> WorkerContext:
    """Return the context of a piece. Raises `ConfigError` if its params make no valid job."""
    job = trial_job(context.job, piece.params, piece.trial)
    return replace(context, job=job, run=trial_run(context.run, piece.trial), stop_at=piece.budget)


def trial_run(sweep: Run, number: int) -> Run:
    """Return the run of a trial, below the sweep's record and under its lock."""
    return Run(sweep.storage, f"{sweep.folder}/trials/{trial_name(number)}", fence=sweep.fence)


def outcome_of(context: WorkerContext, piece: Piece, ended: PieceEnd, *, reason: str | None, busy_s: float) -> Outcome:
    """Return a piece's outcome, with the scores that its trial's run has recorded."""
    run, metric = trial_run(context.run, piece.trial), sweep_of(context.job).metric
    run.fold_metrics()
    curve = [[images, score] for images, score in scores_of(run.metrics(), metric)]
    checkpoint = run.latest_checkpoint()
    best = checkpoint.progress.best if checkpoint else None
    return Outcome(
        ended,
        checkpoint.images_seen if checkpoint else 0,
        score=best.scores.get(metric) if best else None,
        last=curve[-1][1] if curve else None,
        best_images=best.images_seen if best else None,
        checkpoint=checkpoint.name if checkpoint else None,
        reason=reason,
        busy_s=busy_s,
        curve=curve,
    )


def _status(context: WorkerContext) -> RunStatus:
    """Return how the run stands, as rank 0 sees it, on every rank. A collective."""
    status = broadcast(context.run.status(context.job, until=context.stop_at) if rank() == 0 else None)
    assert status is not None
    return status
