"""What the workers of a sweep do: train one piece after another, of whichever trial, without being started again in between."""

import contextlib
import gc
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from ganray.errors import ClusterError, GanrayError, RunLocked
from ganray.gan.distributed import broadcast, rank, world_size
from ganray.runs.checkpoint import status_of
from ganray.runs.metrics_log import last_event, scores_of
from ganray.runs.run import Run
from ganray.runs.status import RunStatus
from ganray.runs.trials import TrialStatus
from ganray.sweep.journal import Outcome
from ganray.sweep.plan import trial_job
from ganray.sweep.work_queue import Piece, ask
from ganray.train.context import WorkerContext

MAX_ERROR_LENGTH = 300  # characters
Train = Callable[[WorkerContext], None]


def train_pieces(context: WorkerContext, queue: Any, group: str, train: Train) -> None:
    """Train by `train`, on each worker of a group, the pieces that the work queue has, until it has none or one is interrupted.

    `context` is the sweep's own.
    """
    fresh = True
    if rank() == 0:
        context.progress_actor.push.remote({"trial": None})
    while (piece := broadcast(_ask(queue, "take", group, fresh) if rank() == 0 else None)) is not None:
        fresh = False
        try:
            outcome = train_piece(context, piece, train)
        except Exception as error:
            is_final = isinstance(error, GanrayError) and not error.is_transient
            text = str(error) if is_final else f"{type(error).__name__}: {error}"
            ask(queue, "report_error", group, text[:MAX_ERROR_LENGTH], is_final)
            raise
        if rank() == 0:
            _ask(queue, "finish", group, outcome)
        if outcome.status == TrialStatus.WAITING:
            return  # the group was asked to end, as where its node will leave: the piece goes on in another
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _ask(queue: Any, method: str, *arguments: Any) -> Any:
    """Return what the work queue answers, None also if it is gone, and with it the driver."""
    with contextlib.suppress(ClusterError):
        return ask(queue, method, *arguments)
    return None


def train_piece(context: WorkerContext, piece: Piece, train: Train) -> Outcome:
    """Train a piece by `train`, once more after each rollback, and return its outcome, which is rank 0's to hand in."""
    since = time.monotonic()
    try:
        job = trial_job(context.job, piece.params, piece.trial)
    except GanrayError as error:  # on every rank alike
        return Outcome(TrialStatus.FAILED, 0, reason=str(error))
    own = replace(context, job=job, run=context.run.trial(piece.trial), stop_at=piece.budget)
    if rank() == 0:
        own.run.record(job, own.dataset)
        own.progress_actor.push.remote({"trial": piece.trial, "images_seen": 0, context.job.required_sweep.metric: None})
    reason = None
    try:
        status = train_to_budget(own, train)
    except GanrayError as error:
        if world_size() > 1:
            raise  # what only one worker met must not leave the others waiting for it
        status, reason = (TrialStatus.WAITING, None) if isinstance(error, RunLocked) else (TrialStatus.FAILED, str(error))
    if rank() != 0:
        return Outcome(status, 0)
    return outcome_of(own.run, context.job.required_sweep.metric, status, reason=reason, busy_s=time.monotonic() - since)


def train_to_budget(context: WorkerContext, train: Train) -> TrialStatus:
    """Train a run until its budget, once more after each rollback, and return how the trial then stands: see `Outcome`."""
    has_trained = False
    while True:
        latest = context.run.checkpoints.latest() if rank() == 0 else None
        run_status = broadcast(status_of(latest, context.job.train, until=context.stop_at))  # as rank 0 sees it
        if ended := run_status.end_reason:
            return TrialStatus(ended.value) if ended.is_failure else TrialStatus.PAUSED
        if has_trained and run_status != RunStatus.ROLLED_BACK:
            return TrialStatus.WAITING
        train(context)
        has_trained = True


def outcome_of(run: Run, metric: str, status: TrialStatus, *, reason: str | None, busy_s: float) -> Outcome:
    """Return a piece's outcome, with the scores that its trial's run has recorded."""
    run.fold_metrics()
    records, checkpoint = run.metrics(), run.checkpoints.latest()
    curve = [[images, score] for images, score in scores_of(records, metric)]
    best = checkpoint.progress.best if checkpoint else None
    return Outcome(
        status,
        checkpoint.images_seen if checkpoint else 0,
        score=best.scores.get(metric) if best else None,
        last=curve[-1][1] if curve else None,
        best_images=best.images_seen if best else None,
        checkpoint=checkpoint.name if checkpoint else None,
        reason=reason or (last_event(records) if status.is_broken else None),
        busy_s=busy_s,
        curve=curve,
    )
