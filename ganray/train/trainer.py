"""Running a setup's workers under Ray Train, from the driver: progress up, a request to stop down, errors translated."""

import contextlib
import shutil
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

import ray
from ray.train import FailureConfig, RunConfig, ScalingConfig, WorkerGroupError
from ray.train.torch import TorchConfig, TorchTrainer

from ganray.cluster.errors import unwrap
from ganray.cluster.signals import stop_on_signal
from ganray.config import Job
from ganray.data.loading.streaming import Stream, streaming_config, streaming_source
from ganray.runs.checkpoint import newest_checkpoint
from ganray.train.context import WorkerContext
from ganray.train.reporter import Reporter
from ganray.train.worker.loop import train_worker

POLL_S = 0.25
PATIENCE_S = 45.0  # without a word from workers, before the user is told what they wait for


class TrainingFailed(RuntimeError):
    """Workers died more often than `train.max_failures` allows."""


def fit(
    setup: WorkerContext,
    reporter: Reporter,
    asked: threading.Event | None = None,
    worker: Callable[[WorkerContext], None] = train_worker,
) -> None:
    """Train until the run ends or is asked to stop, after which it has been checkpointed.

    It is asked by `asked`, if given, else by SIGINT or SIGTERM. `worker` is what each worker does.
    """
    reporter.stage("starting workers")
    scratch = tempfile.mkdtemp(prefix="ganray-")
    failures: list[BaseException] = []
    thread = threading.Thread(target=_collect_failure, args=(_trainer(setup, scratch, worker).fit, failures), daemon=True)
    try:
        with contextlib.nullcontext(asked) if asked else stop_on_signal() as asked:
            thread.start()
            _watch(thread, asked, setup, reporter)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    if failures:
        raise _translate(failures[0], setup.job) from failures[0]


def _trainer(setup: WorkerContext, scratch: str, worker: Callable[[WorkerContext], None]) -> TorchTrainer:
    """Return the trainer. Ray's own run state goes to a scratch folder: checkpoints are ganray's, so a resume needs none of it."""
    job = setup.job
    resources = {"CPU": job.resources.cpus_per_worker} | ({"GPU": job.resources.gpus_per_worker} if job.use_gpu else {})
    return TorchTrainer(
        worker,
        train_loop_config=setup,
        torch_config=TorchConfig(backend="nccl" if job.use_gpu else "gloo"),
        scaling_config=ScalingConfig(num_workers=job.workers, use_gpu=job.use_gpu, resources_per_worker=resources),
        run_config=RunConfig(
            name=uuid.uuid4().hex, storage_path=scratch, failure_config=FailureConfig(max_failures=job.train.max_failures)
        ),
        **_streaming(setup),
    )


def _streaming(setup: WorkerContext) -> dict[str, Any]:
    """Return the trainer's data arguments: the stream goes on from the newest checkpoint at each start of the workers."""
    if setup.resident is not None:
        return {}
    job = setup.job
    stream = Stream(setup.prepared, seed=job.seed, window=job.data.shuffle_window, batch_size=job.train.batch_size, workers=job.workers)

    def position() -> tuple[int, int]:
        checkpoint, _ = newest_checkpoint(setup.run)
        return (checkpoint.images_seen, checkpoint.manifest["attempt"]) if checkpoint else (0, 0)

    source = streaming_source(stream, position, total_images=setup.total_images)
    return {"datasets": {"train": source}, "dataset_config": streaming_config(stream)}


def _collect_failure(function: Callable[[], Any], failures: list[BaseException]) -> None:
    try:
        function()
    except BaseException as failure:
        failures.append(failure)


def _watch(thread: threading.Thread, asked: threading.Event, setup: WorkerContext, reporter: Reporter) -> None:
    """Carry progress up and a request to stop down until training ends; say what it waits for if nothing comes."""
    started, told, stopping = time.monotonic(), False, False
    while thread.is_alive():
        thread.join(POLL_S)
        progress, events = ray.get(setup.monitor.take.remote())
        for event in events:
            reporter.say(event)
        if progress:
            reporter.training(progress)
        elif not told and time.monotonic() - started > PATIENCE_S:
            told = True
            reporter.say(_waiting_for(setup.job))
        if asked.is_set() and not stopping:
            stopping = True
            setup.monitor.request_stop.remote()
            reporter.say("stopping after a checkpoint; once more to stop at once")


def _waiting_for(job: Job) -> str:
    """Say which resources workers wait for, and which there are."""
    there = ray.cluster_resources()
    gpus = f" and {job.resources.gpus_per_worker:g} GPU" if job.use_gpu else ""
    needs = f"{job.workers} workers of {job.resources.cpus_per_worker:g} CPU{gpus}"
    return f"waiting for room for {needs}; the cluster now has {there.get('CPU', 0):g} CPU and {there.get('GPU', 0):g} GPU in all"


def _translate(failure: BaseException, job: Job) -> BaseException:
    """Return the user's own mistake if a worker or the controller met one, else what happened in one line."""
    causes = list(failure.worker_failures.values()) if isinstance(failure, WorkerGroupError) else [failure]
    if found := unwrap(failure):
        return found
    if isinstance(failure, WorkerGroupError):
        problem = f"workers of run {job.name!r} failed more than train.max_failures={job.train.max_failures} times"
        return TrainingFailed(f"{problem}: {causes[0]}")
    return TrainingFailed(f"training of run {job.name!r} failed: {failure}")
