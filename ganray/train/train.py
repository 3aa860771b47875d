"""A job from its file to its result: data, extractor, workers, publication. `ganray train` and `ganray.run_training` are this.

What needs torch is imported where it is called: torch itself, two seconds, while Ray starts.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ganray.cluster.background import import_in_background
from ganray.cluster.capacity import check_local_resources, check_reachable
from ganray.cluster.prometheus import RunMetrics, has_agent
from ganray.cluster.session import own_local_ray, ray_session
from ganray.cluster.shared_storage import check_shared
from ganray.config import Job
from ganray.config.compatibility import KINDS
from ganray.data.dataset import PreparedDataset
from ganray.data.preparation.prepare import prepare
from ganray.data.sources import list_source
from ganray.errors import ConfigError, TrainingDiverged
from ganray.runs.checkpoint import Checkpoint, limits_of
from ganray.runs.opening import connected, find_run, locked, open_run
from ganray.runs.resolve import resolve_job
from ganray.runs.run import Run
from ganray.runs.status import EndReason, TrainingResult
from ganray.storage import open_job_storage
from ganray.storage.files import atomic_write, local_errors
from ganray.track.process import tracking
from ganray.track.sync import check_trackers
from ganray.train.events import EventRecorder
from ganray.train.reporter import Reporter
from ganray.train.view import TrainingView, line_reporter


def run_training(job: Job, *, address: str | None = None, reporter: Reporter | None = None) -> TrainingResult:
    """Train the job's run from where it stands to its end, and publish the best generator.

    The same call again resumes; on a finished run it does nothing but return the result. `address` is a Ray cluster's; see
    `ray_session`. Progress is printed to standard error, unless another `reporter` is given, as `LogReporter`. Raises
    `GanrayError`, `TrainingDiverged` where there is nothing worth publishing.
    """
    import_in_background("torch")
    reporter, job = reporter or line_reporter(TrainingView(job)), job.model_copy(update={"sweep": None})
    check_trackers(job.track)
    run = Run(open_job_storage(job.storage), f"runs/{job.name}")
    job, creation = find_run(run, job)
    if not creation and (finished := run.result(limits_of(job.train))):
        return TrainingResult.from_json(finished)
    check = check_local_resources if own_local_ray(address) else check_reachable
    with connected(job, run.storage, address, check) as job, locked(run) as lock, recording(run) as events, tracking(run, job.track):
        reporter.stage("preparing data")
        job = open_run(run, job, creation, progress=reporter.advance)
        from ganray.train.trainer import train_to_end

        checkpoint, ended = train_to_end(run, job, reporter, lock, events)
        return conclude(run, job, checkpoint, ended, reporter, events)


def recording(run: Run) -> EventRecorder:
    """Return the recorder of a run's events and metrics, once there is a connection to Ray."""
    return EventRecorder(run, RunMetrics(run.name) if has_agent() else None)


def conclude(
    run: Run, job: Job, checkpoint: Checkpoint, ended: EndReason | None, reporter: Reporter, events: EventRecorder
) -> TrainingResult:
    """Publish the best generator of a run that has ended, and record its result. Raises `TrainingDiverged` if there is none to publish."""
    if ended and ended.is_failure:
        events.end(ended)
        raise failure(job, ended, checkpoint)
    run.fold_metrics()
    best, version = checkpoint.progress.best, None
    to_publish = run.checkpoints.best() if ended and job.publish.auto and job.evaluate.enabled else None
    if to_publish:
        from ganray.train.publish import publish_checkpoint

        reporter.stage("publishing")
        version = publish_checkpoint(job, run, run.dataset, to_publish)
    events.end(ended or EndReason.INTERRUPTED)
    result = TrainingResult(
        name=job.name,
        run=run.uri,
        images_seen=checkpoint.images_seen,
        ended=ended or EndReason.INTERRUPTED,
        scores=best.scores if best else None,
        best_images_seen=best.images_seen if best else None,
        version=version,
    )
    if ended:
        run.write_result(result.to_json(), limits_of(job.train))
    return result


def failure(job: Job, ended: EndReason, checkpoint: Checkpoint) -> TrainingDiverged:
    """Return the error of a run that ended with no generator worth publishing; one that scored before can be published by hand."""
    best = checkpoint.progress.best
    by_hand = f", or `ganray publish {job.name}`, its best of {best.images_seen:,} images" if best else ""
    images, times = f"{checkpoint.images_seen:,} images", job.divergence.max_rollbacks + 1
    problem, rates = {
        EndReason.DIVERGED: (f"training diverged {times} times, the last time after {images}", "lower"),
        EndReason.COLLAPSED: (f"samples are alike, after {images}", "other"),
    }[ended]
    return TrainingDiverged("optimizer", problem, f"start a run of another name with {rates} rates or a higher penalties.r1_gamma{by_hand}")


def prepare_data(job: Job, *, address: str | None = None, reporter: Reporter | None = None) -> PreparedDataset:
    """Prepare a job's data, or find it prepared. Raises `GanrayError`."""
    with _prepared(job, address, reporter or line_reporter(TrainingView(job))) as dataset:
        return dataset


def fit_extractor(job: Job, *, address: str | None = None, reporter: Reporter | None = None, out: Path | None = None) -> dict[str, Any]:
    """Fit the extractor of a job's dataset anew, keep it beside the dataset, write it to `out` if given, and return its facts.

    They are its hash, how it was fitted, and its accuracy on held-out samples. Raises `GanrayError`.
    """
    if not KINDS[job.data.modality.kind].has_extractor:
        problem = f"{KINDS[job.data.modality.kind].nouns} are scored as they are, without an extractor"
        raise ConfigError("data.modality", problem, "leave `fit-extractor` out")
    from ganray.evaluation.extractor import fit_anew

    reporter = reporter or line_reporter(TrainingView(job))
    with _prepared(job, address, reporter) as dataset:
        reporter.stage("fitting the feature extractor")
        fitted = fit_anew(resolve_job(job, dataset.card), dataset, progress=reporter.advance)
    if out:
        with local_errors("write", out, field="--out"), atomic_write(out) as file:
            file.write(fitted.weights)
    return {"hash": fitted.hash, **fitted.facts()}


@contextlib.contextmanager
def _prepared(job: Job, address: str | None, reporter: Reporter) -> Iterator[PreparedDataset]:
    """Give a job's prepared dataset, connected to Ray while the block runs."""
    storage = open_job_storage(job.storage)
    listing = list_source(job.data, storage)  # its errors are raised before anything is started or written
    with ray_session(address):
        storage.check_writable()
        check_shared(storage)
        reporter.stage("preparing data")
        yield prepare(job.data, listing, storage, progress=reporter.advance)
