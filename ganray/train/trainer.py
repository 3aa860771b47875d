"""Ray Train around a worker function, from the driver: metrics up, a request to stop down, errors unwrapped."""

import contextlib
import functools
import logging
import threading
import time
import uuid
from collections.abc import Callable
from math import ceil
from typing import Any

import ray
from ray.exceptions import RayActorError
from ray.train import ControllerError, FailureConfig, RunConfig, ScalingConfig, WorkerGroupError
from ray.train.v2._internal.exceptions import WorkerHealthCheckTimeoutError

from ganray.cluster.autoscaling.demand import outlook
from ganray.cluster.autoscaling.status import read_status
from ganray.cluster.autoscaling.wait import wait_for_room
from ganray.cluster.background import BackgroundCall
from ganray.cluster.capacity import demand_of, worker_resources
from ganray.cluster.errors import LOST, unwrap
from ganray.cluster.placement import remove_orphaned_placement_groups
from ganray.cluster.scratch import scratch_folder
from ganray.cluster.signals import stop_on_signal
from ganray.config import Job
from ganray.data.loading.streaming import Stream, StreamingConfig, streaming_source
from ganray.errors import ClusterError, StorageError
from ganray.evaluation.evaluation import find_evaluation
from ganray.runs.checkpoint import Checkpoint, status_of
from ganray.runs.lock import DriverLock
from ganray.runs.run import Run
from ganray.runs.status import EndReason
from ganray.train.background_publisher import publishing_in_background
from ganray.train.context import WorkerContext, prepare_context
from ganray.train.controller.limits import ControllerWatch, Limits
from ganray.train.controller.policies import Trainer, scaling_policy
from ganray.train.controller.process_group import ProcessGroup
from ganray.train.events import EventRecorder
from ganray.train.moves import MoveWatch
from ganray.train.progress import NODES, ProgressReader
from ganray.train.reporter import Reporter
from ganray.train.worker.loop import train_worker

logger = logging.getLogger(__name__)

POLL_S = 0.25
PATIENCE_S = 45.0  # without metrics from workers, before the user is told what they wait for


def train_to_end(run: Run, job: Job, reporter: Reporter, lock: DriverLock, events: EventRecorder) -> tuple[Checkpoint, EndReason | None]:
    """Train until the run has ended or a stop was requested, in one start of workers more after each rollback.

    Returns its latest checkpoint and how it ended, None if it was interrupted. The process of Ray Train's controller may die
    `train.max_failures` times. Raises `ClusterError` beyond that.
    """
    interrupted = has_trained = False
    num_deaths = 0
    events.start(run.checkpoints.latest())
    with publishing_in_background(run, job):
        while True:
            run.checkpoints.remove_unfinished()
            checkpoint = run.checkpoints.latest()
            ended = status_of(checkpoint, job.train).end_reason
            if checkpoint and (ended or interrupted):
                return checkpoint, ended
            if has_trained and not checkpoint:
                raise StorageError("storage", f"the workers' checkpoints are not in {run.uri}", "use storage that all nodes share")
            context = prepare_context(run, job, run.dataset, *find_evaluation(job, run.dataset))
            with stop_on_signal() as stop:
                lock.on_lost(stop.set)  # since then nothing may be written any more
                wait_for_room(demand_of(job), stop, reporter.stage)
                try:
                    fit(context, reporter, stop, events=events)
                except WorkersDied as error:
                    raise died_too_often(error, max_failures=job.train.max_failures) from error
                except ControllerDied as error:
                    num_deaths += 1
                    events.lose(str(error))
                    check_goes_on(error, run, stop, num_deaths=num_deaths, max_failures=job.train.max_failures)
                else:
                    interrupted, has_trained = stop.is_set(), True


def check_goes_on(error: "ControllerDied", run: Run, stop: threading.Event, *, num_deaths: int, max_failures: int) -> None:
    """Log that workers are started again, or raise why they are not."""
    run.check_fence()
    if stop.is_set():
        raise KeyboardInterrupt from error
    if num_deaths > max_failures:
        raise died_too_often(error, max_failures=max_failures) from error
    logger.warning("%s; starting the workers again", error)


def died_too_often(error: "TrainingFailed", *, max_failures: int) -> ClusterError:
    """Return the error for processes that were killed more often than a job allows."""
    problem = f"{error}, more often than train.max_failures={max_failures} allows"
    return ClusterError("train.max_failures", problem, "see whether its machine has memory to spare; the same command goes on")


class TrainingFailed(RuntimeError):
    """Workers failed more often than `train.max_failures` allows."""


class WorkersDied(TrainingFailed):
    """Processes of workers died or froze, which no error of theirs explains, as when they are killed for memory."""


class ControllerDied(TrainingFailed):
    """The process of Ray Train's controller died, or met the death of another where Ray Train does not expect it; workers end with it."""


def fit(
    context: WorkerContext,
    reporter: Reporter,
    stop: threading.Event | None = None,
    worker: Callable[[WorkerContext], None] = train_worker,
    *,
    events: EventRecorder | None = None,
) -> None:
    """Train until the workers end, as they do at the run's end, after a rollback, or when they were asked to stop.

    `stop` asks them, if given, else SIGINT or SIGTERM. `worker` is what each worker calls. `events` records what happens to them.
    """
    reporter.stage("starting workers")
    with scratch_folder("train") as scratch:
        trainer = build_trainer(context, scratch, worker)
        call = BackgroundCall(trainer.fit, name="train")
        with contextlib.nullcontext(stop) if stop else stop_on_signal() as stop_requested:
            call.start()
            _watch(call, trainer, stop_requested, context, reporter, events)
    if call.error:
        error = translate(call.error, context.job)
        if isinstance(error, ControllerDied):
            remove_orphaned_placement_groups()
        raise error from call.error


def run_name(job: Job) -> str:
    """Return a name for one start of a run's workers, by which Ray shows them."""
    return f"{job.name}-{uuid.uuid4().hex[:8]}"


def build_trainer(context: WorkerContext, scratch: str, worker: Callable[[WorkerContext], None]) -> Trainer:
    """Return the trainer. Ray's own run state goes to a scratch folder: checkpoints are ganray's, so a resume needs none of it."""
    job = context.job
    scaling = ScalingConfig(num_workers=job.max_workers, use_gpu=bool(job.use_gpu), resources_per_worker=worker_resources(job))
    return Trainer(
        functools.partial(_call, worker, context),
        train_loop_config=job.model_dump(mode="json"),  # what Ray's dashboard shows of the run
        backend_config=ProcessGroup("nccl" if job.use_gpu else "gloo", timeout_s=ceil(job.train.collective_timeout)),
        scaling_config=scaling,
        progress_actor=context.progress_actor,
        scaling_policy=scaling_policy(job, scaling),
        limits=Limits(job.train.worker_timeout, job.train.collective_timeout, context.progress_actor),
        run_config=RunConfig(name=run_name(job), storage_path=scratch, failure_config=failure_config(job)),
        **_data_arguments(context),
    )


def _call(worker: Callable[[WorkerContext], None], context: WorkerContext, _: dict[str, Any]) -> None:
    worker(context)


def failure_config(job: Job) -> FailureConfig:
    """Return how often workers are started again; Ray Train tells those that died with a node which was drained or preempted."""
    of_nodes = job.train.max_preemption_failures
    settings: Any = {"max_failures": job.train.max_failures, "max_preemption_failures": -1 if of_nodes is None else of_nodes}
    return FailureConfig(**settings)


def _data_arguments(context: WorkerContext) -> dict[str, Any]:
    """Return the trainer's data arguments: a stream goes on from the latest checkpoint at each start of the workers."""
    if context.resident is not None:
        return {}
    job = context.job
    batch = {"batch_size": job.train.batch_size, "ghost_batch": job.networks.ghost_batch}
    stream = Stream(context.dataset, seed=job.seed, window=job.data.shuffle_window, **batch)

    def position() -> tuple[int, int]:
        checkpoint = context.run.checkpoints.latest()
        return (checkpoint.images_seen, checkpoint.attempt) if checkpoint else (0, 0)

    source = streaming_source(stream, position, total_images=context.total_images)
    return {"datasets": {"train": source}, "dataset_config": StreamingConfig(stream)}


def _watch(
    call: BackgroundCall,
    trainer: Trainer,
    stop: threading.Event,
    context: WorkerContext,
    reporter: Reporter,
    events: EventRecorder | None,
) -> None:
    """Carry metrics up and a request to stop down until training ends; log what it waits for if nothing comes."""
    started, has_warned, is_stopping = time.monotonic(), False, False
    progress, controller = ProgressReader(context.progress_actor), ControllerWatch(context.job.train.worker_timeout)
    with MoveWatch(context.job) as move:
        while call.is_alive():
            call.join(POLL_S)
            metrics, messages = progress.take(stop_requested=stop.is_set() or move.is_due, checkpoint_requests=move.checkpoint_requests)
            controller.look(progress.controller, trainer.controller)
            for message in messages:
                logger.warning("%s", message)
            if metrics:
                reporter.update(metrics)
                look(metrics, move, events)
            elif not has_warned and time.monotonic() - started > PATIENCE_S:
                has_warned = True
                logger.warning("%s", outlook(demand_of(context.job), read_status(), ray.cluster_resources()))
            if stop.is_set() and not is_stopping:
                is_stopping = True
                logger.warning("stopping after a checkpoint; once more to stop at once")


def look(metrics: dict[str, Any], move: MoveWatch, events: EventRecorder | None) -> None:
    """Have the newest metrics looked at for events and for reasons to move."""
    was_due = move.is_due
    move.look(metrics.get(NODES), images_per_s=metrics.get("time/images_per_s"))
    if events:
        events.look(metrics)
    if events and move.reason and not was_due:
        events.move(move.reason)


def translate(failure: BaseException, job: Job) -> BaseException:
    """Return the `GanrayError` that a worker or the controller met, else what happened in one line."""
    if error := unwrap(failure):
        return error
    if isinstance(failure, RayActorError):
        return ControllerDied(f"the process that starts the workers of run {job.name!r} died")
    if isinstance(failure, ControllerError) and isinstance(failure.controller_failure, LOST):
        return ControllerDied(f"the process that starts the workers of run {job.name!r} lost touch with another")
    if isinstance(failure, WorkerGroupError) and any(map(_is_death, failure.worker_failures.values())):
        return WorkersDied(f"workers of run {job.name!r} died")
    if isinstance(failure, WorkerGroupError):
        problem = f"workers of run {job.name!r} failed more than train.max_failures={job.train.max_failures} times"
        return TrainingFailed(f"{problem}: {next(iter(failure.worker_failures.values()))}")
    return TrainingFailed(f"training of run {job.name!r} failed: {failure}")


def _is_death(failure: BaseException) -> bool:
    """Return whether a worker's process died or did not answer any more; the others then fail, too, for want of it."""
    return isinstance(getattr(failure, "health_check_failure", failure), RayActorError | WorkerHealthCheckTimeoutError)
