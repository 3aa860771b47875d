"""A job from its file to its result: data, extractor, workers, publication. `ganray train` and `ganray.run_training` are this."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ganray.cluster.capacity import check_local_resources
from ganray.cluster.session import own_local_ray, ray_session
from ganray.cluster.shared_storage import check_shared
from ganray.config import Job
from ganray.data.dataset import PreparedDataset
from ganray.data.loading.resident import hold
from ganray.data.preparation.prepare import prepare
from ganray.data.sources import list_source
from ganray.errors import ConfigError
from ganray.evaluation.extractor import ensure_extractor, fit_anew
from ganray.evaluation.reference import ensure_reference
from ganray.evaluation.score import protocol
from ganray.registry.signing import load_private_key
from ganray.runs.checkpoint import Checkpoint, newest_checkpoint
from ganray.runs.layout import DATASET, JOB, RESULT, fold_metrics, read_json, run_dataset, run_exists, run_store, write_json
from ganray.runs.lock import sole_driver
from ganray.runs.resolve import resolve_job, resume_job
from ganray.storage import ObjectStore, open_store
from ganray.storage.local import atomic_write, local_errors
from ganray.train.background_publisher import publishing_meanwhile
from ganray.train.context import WorkerContext
from ganray.train.progress import start_monitor, was_asked_to_stop
from ganray.train.publish import publish_best
from ganray.train.reporter import LogReporter, Reporter
from ganray.train.trainer import fit

BROKEN = ("diverged", "collapsed")  # ways to end that leave nothing to publish


@dataclass(frozen=True)
class TrainingResult:
    """How a run stands. `ended` is "done", "time" (max_seconds) or "asked" (stopped; the same command goes on)."""

    name: str
    run: str
    images_seen: int
    ended: str
    scores: dict[str, float] | None
    best_images_seen: int | None
    version: str | None
    was_finished: bool = False


def run_training(job: Job, *, address: str | None = None, reporter: Reporter | None = None) -> TrainingResult:
    """Train the job's run from where it stands to its end, and publish the best generator.

    The same call again resumes; on a finished run it does nothing but return the result. `address` is a Ray cluster's; see
    `ray_session`. Raises `GanrayError` for what the user has to change.
    """
    reporter, job = reporter or LogReporter(), job.model_copy(update={"sweep": None})
    storage = open_storage(job)
    run = run_store(storage, job.name)
    job, finished = look_up(job, run)
    if finished:
        return finished
    if not run_exists(run):
        list_source(job.data.source)  # what is wrong with it is said before anything is started or written
    if job.publish.signing_key:
        load_private_key(job.publish.signing_key, field="publish.signing_key")
    cannot_grow = own_local_ray(address)
    with ray_session(address):
        if cannot_grow:
            check_local_resources(job)
        storage.check_writable()
        check_shared(storage)
        with sole_driver(run, job.name, say=reporter.say):
            job, prepared = open_job(job, run, storage, reporter)
            return train_and_publish(job, run, prepared, reporter)


def open_job(job: Job, run: ObjectStore, storage: ObjectStore, reporter: Reporter) -> tuple[Job, PreparedDataset]:
    """Return the resolved job and its dataset: those that the run was created with, or new ones, which then are the run's."""
    reporter.stage("preparing data")
    if run_exists(run):
        job = resume_job(job, read_json(run, JOB))
        prepared = run_dataset(run, storage, job.name)
    else:
        prepared = prepare(job.data, storage, progress=reporter.advance)
        job = resolve_job(job, prepared.card)
        write_json(run, DATASET, {"folder": prepared.folder, "fingerprint": prepared.card.fingerprint})
    write_json(run, JOB, job.model_dump(mode="json"))
    return job, prepared


def train_and_publish(job: Job, run: ObjectStore, prepared: PreparedDataset, reporter: Reporter) -> TrainingResult:
    """Do what is left of a resolved job's run."""
    with publishing_meanwhile(job, run, prepared, reporter) as publishing:
        checkpoint = train_to_its_end(job, run, prepared, publishing)
    ended = has_ended(job, checkpoint.progress, checkpoint.images_seen)
    if ended in BROKEN:
        raise broken(job, ended, checkpoint)
    best = checkpoint.progress["best"]
    fold_metrics(run)
    version = None
    if ended and job.publish.auto:
        reporter.stage("publishing")
        version = publish_best(job, run, prepared, say=reporter.say)
    result = TrainingResult(
        job.name, run.uri, checkpoint.images_seen, ended or "asked", best and best["scores"], best and best["images_seen"], version
    )
    if ended:
        write_json(run, RESULT, {"total_images": job.train.total_images, "max_seconds": job.train.max_seconds, **asdict(result)})
    return result


def train_to_its_end(job: Job, run: ObjectStore, prepared: PreparedDataset, reporter: Reporter) -> Checkpoint:
    """Train until the run has ended or was asked to stop, again after each return to a checkpoint, and return the newest one."""
    checkpoint, _ = newest_checkpoint(run)
    returned = True
    while returned and not (checkpoint and has_ended(job, checkpoint.progress, checkpoint.images_seen)):
        setup = worker_context(job, run, prepared, reporter)
        fit(setup, reporter)
        checkpoint, passed_over = newest_checkpoint(run)
        for line in passed_over:
            reporter.say(line)
        if checkpoint is None:
            raise ConfigError("storage", f"the workers' checkpoints are not in {run.uri}", "use storage that all nodes share")
        returned = checkpoint.progress.get("returned", False) and not was_asked_to_stop(setup.monitor)
    return checkpoint


def broken(job: Job, ended: str, checkpoint: Checkpoint) -> ConfigError:
    """Return what a run is told that ended with no generator worth publishing; what scored well before can be published by hand."""
    best = checkpoint.progress["best"]
    by_hand = f", or `ganray publish {job.name}`, its best of {best['images_seen']:,} images" if best else ""
    problem = {
        "diverged": f"training diverged {job.divergence.max_rollbacks + 1} times, the last time after {checkpoint.images_seen:,} images",
        "collapsed": f"samples became alike, after {checkpoint.images_seen:,} images",
    }[ended]
    return ConfigError("optimizer", problem, f"start a run of another name with lower rates or a higher penalties.r1_gamma{by_hand}")


def worker_context(job: Job, run: ObjectStore, prepared: PreparedDataset, reporter: Reporter) -> WorkerContext:
    """Return what the workers are handed, after making what is missing of it: extractor and reference statistics."""
    reporter.stage("feature extractor")
    extractor = ensure_extractor(job, prepared, progress=reporter.advance)
    reporter.stage("reference statistics")
    reference = ensure_reference(job, prepared, extractor, progress=reporter.advance)
    return WorkerContext(
        job=job,
        run=run,
        prepared=prepared,
        resident=hold(prepared) if job.data.mode == "resident" else None,
        extractor=extractor,
        reference=reference,
        protocol=protocol(job.evaluate, fingerprint=prepared.card.fingerprint, extractor=extractor.hash),
        monitor=start_monitor(),
    )


def prepare_data(job: Job, *, address: str | None = None, reporter: Reporter | None = None) -> PreparedDataset:
    """Prepare a job's data, or find it prepared."""
    with _prepared(job, address, reporter or LogReporter()) as prepared:
        return prepared


def fit_extractor(job: Job, *, address: str | None = None, reporter: Reporter | None = None, out: Path | None = None) -> dict[str, Any]:
    """Fit the extractor of a job's dataset anew, keep it beside the dataset, write it to `out` if given, and say what came of it."""
    reporter = reporter or LogReporter()
    with _prepared(job, address, reporter) as prepared:
        reporter.stage("fitting the feature extractor")
        fitted = fit_anew(resolve_job(job, prepared.card), prepared, progress=reporter.advance)
    if out:
        with local_errors("write", out, field="--out"), atomic_write(out) as file:
            file.write(fitted.weights)
    return {"hash": fitted.hash, **fitted.facts()}


@contextlib.contextmanager
def _prepared(job: Job, address: str | None, reporter: Reporter) -> Iterator[PreparedDataset]:
    """Give a job's prepared data, connected to Ray while the block runs."""
    storage = open_storage(job)
    list_source(job.data.source)  # what is wrong with it is said before anything is started or written
    with ray_session(address):
        storage.check_writable()
        check_shared(storage)
        reporter.stage("preparing data")
        yield prepare(job.data, storage, progress=reporter.advance)


def look_up(job: Job, run: ObjectStore) -> tuple[Job, TrainingResult | None]:
    """Return the job as its run was created with it, if it was, and the result if there is nothing left to do."""
    if not run_exists(run):
        return job, None
    result = read_json(run, RESULT)
    job = resume_job(job, read_json(run, JOB))
    if result and (result.pop("total_images"), result.pop("max_seconds")) == (job.train.total_images, job.train.max_seconds):
        return job, TrainingResult(**{**result, "was_finished": True})
    return job, None


def has_ended(job: Job, progress: dict[str, Any], images_seen: int) -> str | None:
    """Return how a run ended that is at this point, None if there is something left to train."""
    if images_seen >= job.train.total_images:
        return "done"
    if progress.get("ended") in BROKEN:
        return progress["ended"]
    spent = job.train.max_seconds is not None and progress["trained_s"] >= job.train.max_seconds
    return "time" if spent else None


def open_storage(job: Job) -> ObjectStore:
    """Return the job's storage; inside a Ray job, whose working directory vanishes, a relative folder is an error."""
    relative = "://" not in job.storage and not os.path.isabs(job.storage)
    if relative and os.environ.get("RAY_JOB_CONFIG_JSON_ENV_VAR"):
        raise ConfigError(
            "storage",
            f"{job.storage!r} is relative, and a Ray job's working directory vanishes",
            "use s3://... or an absolute folder that all nodes share",
        )
    return open_store(job.storage)
