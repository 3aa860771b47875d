"""The best checkpoint of a run, made an artifact and published."""

import dataclasses
import logging
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ganray.config import Job
from ganray.data.dataset import PreparedDataset
from ganray.errors import GanrayError
from ganray.evaluation.evaluation import prepare_evaluation
from ganray.gan.directions import find_directions
from ganray.gan.sampling import sample_chunk
from ganray.metrics.score import Protocol
from ganray.modalities.previews import previews
from ganray.registry.artifact import PublishedGenerator, build, load_generator
from ganray.registry.generator_config import generator_config, prior_of
from ganray.registry.manifest import CARD, CONFIG, DIRECTIONS, GENERATOR, METRICS, to_json
from ganray.registry.model_card import model_card
from ganray.registry.promotion import promote_if_better
from ganray.registry.registry import Registry
from ganray.registry.reservation import latest_reserved
from ganray.runs.checkpoint import Checkpoint
from ganray.runs.event_log import EventKind, RunEvent
from ganray.runs.lock import driver_lock
from ganray.runs.run import Run
from ganray.runs.start import start_origin
from ganray.runs.status import Best
from ganray.storage import open_store
from ganray.train.events import record_event

logger = logging.getLogger(__name__)

PACKAGES = ("ganray", "torch", "ray", "numpy", "pyarrow", "safetensors")


def publish_run(storage_uri: str, name: str) -> str:
    """Publish the best generator of the run `name`, of one that is not scored the newest, and return the URI of its version.

    Needs Ray only to score an incumbent again.
    """
    run = Run(open_store(storage_uri), f"runs/{name}")
    job = run.job
    with driver_lock(run.store, name):
        if job.evaluate.enabled:
            return publish_checkpoint(job, run, run.dataset, run.checkpoints.best())
        return publish_unscored(job, run)


def publish_unscored(job: Job, run: Run) -> str:
    """Publish the newest generator of a run that is not scored, and return the URI of its version; the best alias stays as it is."""
    number = publish_version(job, run, run.dataset, run.checkpoints.newest_generator())
    logger.warning("version %s has no score, so it is not the best of model %s: name the version itself", number, job.model_name)
    return Registry(run.storage).model(job.model_name).child(number).uri


def publish_checkpoint(
    job: Job, run: Run, dataset: PreparedDataset, checkpoint: Checkpoint, *, origin: Mapping[str, Any] | None = None
) -> str:
    """Publish a checkpoint's scored generator, once, and return the URI of its version; the best alias moves if it is better.

    An incumbent of another protocol is scored by this one first. `origin` is added to the lineage.
    """
    best, number = scored(checkpoint), publish_version(job, run, dataset, checkpoint, origin)
    model = Registry(dataset.storage).model(job.model_name)

    def rescore(incumbent: str) -> float | None:
        try:
            score = score_published(model.child(incumbent).uri, job, dataset, best.protocol)
        except GanrayError as error:
            logger.warning("version %s, the best so far, cannot be scored (%s)", incumbent, error)
            return None
        if score is None:
            logger.warning(
                "version %s, the best so far, cannot be compared with %s: other samples, or another extractor", incumbent, number
            )
        return score

    promote_if_better(model, number, best.score, best.protocol, rescore=rescore)
    return model.child(number).uri


def publish_while_training(run: Run, job: Job) -> str:
    """Publish a run's best so far, but leave the alias where an incumbent would have to be scored again, which takes a while."""
    checkpoint = run.checkpoints.best()
    best, number = scored(checkpoint), publish_version(job, run, run.dataset, checkpoint)
    model = Registry(run.storage).model(job.model_name)
    promote_if_better(model, number, best.score, best.protocol, rescore=lambda _: None)
    return model.child(number).uri


def publish_version(job: Job, run: Run, dataset: PreparedDataset, checkpoint: Checkpoint, origin: Mapping[str, Any] | None = None) -> str:
    """Publish a checkpoint's scored generator, once, record that in the run's event log, and return its number."""
    registry, from_run = Registry(dataset.storage), f"{run.uri}@"
    key = f"{from_run}{checkpoint.name}:{checkpoint.files[GENERATOR].sha256}"
    parent = latest_reserved(registry.model(job.model_name), starts_with=from_run, other_than=key)
    lineage = {**describe_lineage(job, run, dataset, checkpoint), "parent": parent, **(origin or {})}
    files = artifact_files(job, checkpoint, dataset, lineage)
    signing_key = Path(job.publish.signing_key) if job.publish.signing_key else None
    number = registry.publish(job.model_name, files, lineage, key=key, signing_key=signing_key)
    details = {"version": registry.model(job.model_name).child(number).uri.partition("?")[0]}
    record_event(run, RunEvent(EventKind.PUBLISH, checkpoint.images_seen, checkpoint.attempt, details))
    return number


def scored(checkpoint: Checkpoint) -> Best:
    """Return the scores that a checkpoint's progress holds of its generator."""
    assert checkpoint.progress.best is not None, checkpoint.name
    return checkpoint.progress.best


def artifact_files(job: Job, checkpoint: Checkpoint, dataset: PreparedDataset, lineage: dict[str, Any]) -> dict[str, bytes]:
    """Return the files of the artifact that a checkpoint becomes, but for the manifest."""
    best = checkpoint.progress.best
    scores, protocol = (best.scores, best.protocol) if best else ({}, Protocol())
    files = {
        GENERATOR: checkpoint.read(GENERATOR),
        CONFIG: to_json(generator_config(job.networks, dataset.card.codec, prior_of(job.networks, dataset.card), dataset.card.classes)),
        METRICS: to_json({"scores": scores, "protocol": protocol.dump()}),
    }
    card = model_card(job, scores=scores, protocol=protocol, dataset=dataset.card, lineage=lineage)
    generator = build(files)
    if job.publish.directions:
        files[DIRECTIONS] = to_json({"directions": describe_directions(generator, job.publish.directions)})
    samples = sample_chunk(generator, generator.prior, generator.layout, seed=job.evaluate.seed, chunk=0)
    shown = {f"samples{suffix}": data for suffix, data in previews(generator.codec, samples.numpy()).items()}
    return {**files, **shown, CARD: card.encode()}


def describe_directions(generator: PublishedGenerator, num: int) -> list[dict[str, Any]]:
    """Return a generator's most effective directions as JSON data; none, which is logged, where it does not begin with a linear layer."""
    try:
        return find_directions(generator, generator.prior, min(num, generator.latent_dim)).to_json()
    except ValueError as error:
        logger.warning("publish.directions: %s", error)
        return []


def describe_lineage(job: Job, run: Run, dataset: PreparedDataset, checkpoint: Checkpoint) -> dict[str, Any]:
    """Return where a generator comes from: run, job, data, code."""
    return {
        "run": run.uri,
        "checkpoint": checkpoint.name,
        "images_seen": checkpoint.images_seen,
        "seed": job.seed,
        "started_from": start_origin(run),
        "dataset": {"name": dataset.card.name, "fingerprint": dataset.card.fingerprint},
        "packages": {name: _package_version(name) for name in PACKAGES},
        "git_revision": _git_revision(),
        "job": job.model_dump(mode="json"),
    }


def score_published(uri: str, job: Job, dataset: PreparedDataset, protocol: Protocol) -> float | None:
    """Return a published generator's score under a job's protocol, None if its samples or the extractor do not fit that."""
    evaluation = dataclasses.replace(prepare_evaluation(job, dataset), metric=protocol.metric, mode=protocol.mode)
    generator = load_generator(uri)
    if evaluation.protocol != protocol or generator.codec.to_json() != dataset.card.codec.to_json():
        return None
    score = evaluation.scorer()(generator, generator.prior)
    return score.value if score else None


def _package_version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _git_revision() -> str | None:
    """Return the revision of the code that runs, if it runs from a git checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
