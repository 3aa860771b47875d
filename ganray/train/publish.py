"""The best checkpoint of a run, made an artifact and published."""

import contextlib
import io
import logging
import subprocess
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ganray.config import Job
from ganray.data.dataset import PreparedDataset
from ganray.errors import ConfigError, GanrayError
from ganray.evaluation.extractor import ensure_extractor
from ganray.evaluation.reference import ensure_reference, load_reference
from ganray.evaluation.score import protocol, score_generator
from ganray.gan.sampling import sample_chunk
from ganray.modalities.image import grid
from ganray.registry.alias import move_best
from ganray.registry.artifact import CARD, CONFIG, GENERATOR, METRICS, SAMPLES, build, generator_config, load_generator
from ganray.registry.manifest import to_json
from ganray.registry.model_card import model_card
from ganray.registry.registry import Registry
from ganray.registry.reservation import newest_claimed
from ganray.runs.checkpoint import Checkpoint, TornCheckpoint, checkpoint_names, load_checkpoint
from ganray.runs.layout import JOB, read_json, run_dataset, run_store
from ganray.runs.lock import sole_driver
from ganray.storage import ObjectStore, child, open_store
from ganray.train.context import prior_of

logger = logging.getLogger(__name__)

PACKAGES = ("ganray", "torch", "ray", "numpy", "pyarrow", "safetensors")


def publish_run(storage_uri: str, name: str) -> str:
    """Publish the best generator of the run `name` and return the URI of its version. Needs Ray for a rescoring only."""
    storage = open_store(storage_uri)
    run = run_store(storage, name)
    stored = read_json(run, JOB)
    if stored is None:
        raise ConfigError("RUN", f"there is no run {name!r} in {storage.uri}", "name a run that `ganray train` has started there")
    with sole_driver(run, name, say=logger.warning):
        return publish_best(Job.model_validate(stored), run, run_dataset(run, storage, name), say=logger.warning)


def publish_best(job: Job, run: ObjectStore, prepared: PreparedDataset, *, say: Callable[[str], None]) -> str:
    """Publish a run's best scored generator, once, and return the URI of its version; the best pointer moves if it is better.

    An incumbent of another protocol is scored by this one first.
    """
    return publish_checkpoint(job, run, prepared, best_checkpoint(job, run), say=say)


def publish_checkpoint(
    job: Job,
    run: ObjectStore,
    prepared: PreparedDataset,
    checkpoint: Checkpoint,
    *,
    say: Callable[[str], None],
    origin: Mapping[str, Any] | None = None,
) -> str:
    """Do as `publish_best` for a checkpoint, by the scores that its progress holds; `origin` is added to its lineage."""
    best, number = checkpoint.progress["best"], publish_version(job, run, prepared, checkpoint, origin)
    model = Registry(prepared.storage).model(job.model_name)

    def rescore(incumbent: str) -> float | None:
        try:
            score = score_published(child(model, incumbent).uri, job, prepared, best["protocol"])
        except GanrayError as error:
            say(f"version {incumbent}, the best so far, cannot be scored ({error})")
            return None
        if score is None:
            say(f"version {incumbent}, the best so far, cannot be compared with {number}: other samples, or another extractor")
        return score

    move_best(model, number, best["score"], best["protocol"], rescore=rescore)
    return child(model, number).uri


def publish_meanwhile(job: Job, run: ObjectStore, prepared: PreparedDataset) -> str:
    """Do as `publish_best`, but leave the pointer where an incumbent would have to be scored again, which takes a while."""
    checkpoint = best_checkpoint(job, run)
    best, number = checkpoint.progress["best"], publish_version(job, run, prepared, checkpoint)
    model = Registry(prepared.storage).model(job.model_name)
    move_best(model, number, best["score"], best["protocol"], rescore=lambda _: None)
    return child(model, number).uri


def publish_version(
    job: Job, run: ObjectStore, prepared: PreparedDataset, checkpoint: Checkpoint, origin: Mapping[str, Any] | None = None
) -> str:
    """Publish a checkpoint's scored generator, once, and return its number."""
    registry, from_run = Registry(prepared.storage), f"{run.uri}@"
    key = f"{from_run}{checkpoint.name}:{checkpoint.manifest['files'][GENERATOR]['sha256']}"
    parent = newest_claimed(registry.model(job.model_name), starts_with=from_run, other_than=key)
    lineage = {**describe_lineage(job, run, prepared, checkpoint), "parent": parent, **(origin or {})}
    files = artifact_files(job, checkpoint, prepared, lineage)
    signing_key = Path(job.publish.signing_key) if job.publish.signing_key else None
    return registry.publish(job.model_name, files, lineage, key=key, signing_key=signing_key)


def best_checkpoint(job: Job, run: ObjectStore) -> Checkpoint:
    """Return the checkpoint with the run's best score."""
    best = best_so_far(run)
    if not best:
        remedy = f"let it train past evaluate.every={job.evaluate.every} images, and look at the losses in its metrics"
        raise ConfigError("RUN", f"run {job.name!r} has no generator with a finite score", remedy)
    try:
        checkpoint = load_checkpoint(run, best["checkpoint"])
        checkpoint.read(GENERATOR)
    except TornCheckpoint as error:
        raise ConfigError("RUN", f"the best of run {job.name!r} is damaged ({error})", "raise train.total_images to train on") from error
    return checkpoint


def best_so_far(run: ObjectStore) -> dict[str, Any] | None:
    """Return what a run's newest readable checkpoint knows of the best score, None if there is none yet."""
    for name in reversed(checkpoint_names(run)):
        with contextlib.suppress(TornCheckpoint):
            return load_checkpoint(run, name).progress["best"]
    return None


def artifact_files(job: Job, checkpoint: Checkpoint, prepared: PreparedDataset, lineage: dict[str, Any]) -> dict[str, bytes]:
    """Return the files of the artifact that a checkpoint becomes, but for the manifest."""
    best = checkpoint.progress["best"]
    scores, rules = best["scores"], best["protocol"]
    files = {
        GENERATOR: checkpoint.read(GENERATOR),
        CONFIG: to_json(generator_config(job.networks, job.data.shape, prior_of(job, prepared.card), prepared.card.classes)),
        METRICS: to_json({"scores": scores, "protocol": rules}),
    }
    card = model_card(job, scores=scores, protocol=rules, dataset=prepared.card.model_dump(mode="json"), lineage=lineage)
    generator = build(files)
    samples = sample_chunk(generator, generator.prior, seed=job.evaluate.seed, chunk=0)
    picture = io.BytesIO()
    grid(samples.numpy()).save(picture, "PNG")
    return {**files, SAMPLES: picture.getvalue(), CARD: card.encode()}


def describe_lineage(job: Job, run: ObjectStore, prepared: PreparedDataset, checkpoint: Checkpoint) -> dict[str, Any]:
    """Return where a generator comes from: run, job, data, code."""
    return {
        "run": run.uri,
        "checkpoint": checkpoint.name,
        "images_seen": checkpoint.images_seen,
        "seed": job.seed,
        "dataset": {"name": prepared.card.name, "fingerprint": prepared.card.fingerprint},
        "packages": {name: _package_version(name) for name in PACKAGES},
        "git_revision": _git_revision(),
        "job": job.model_dump(mode="json"),
    }


def score_published(uri: str, job: Job, prepared: PreparedDataset, rules: dict[str, Any]) -> float | None:
    """Return a published generator's score under a job's protocol, None if its samples or the extractor do not fit that."""
    generator = load_generator(uri)
    extractor = ensure_extractor(job, prepared)
    if protocol(job.evaluate, fingerprint=prepared.card.fingerprint, extractor=extractor.hash) != rules:
        return None
    reference = ensure_reference(job, prepared, extractor)
    if tuple(sample_chunk(generator, generator.prior, seed=0, chunk=0).shape[1:]) != job.data.shape:
        return None
    scores = score_generator(generator, generator.prior, extractor.network(), load_reference(prepared, reference), job.evaluate)
    return scores["metric/frechet"]


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
