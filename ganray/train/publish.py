"""The best checkpoint of a run, made an artifact and published."""

import io
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ganray.config import Job, UserError
from ganray.data.prepare import Prepared, find_dataset
from ganray.gan.sampling import sample_chunk
from ganray.media.pictures import grid
from ganray.registry.artifact import CARD, CONFIG, GENERATOR, METRICS, SAMPLES, build, generator_config, load_generator, to_json
from ganray.registry.card import model_card
from ganray.registry.registry import Registry, move_best
from ganray.store import ObjectStore, child, open_store
from ganray.train.checkpoint import Checkpoint, load_checkpoint, newest_checkpoint
from ganray.train.evaluate import protocol, score_generator
from ganray.train.extractor import ensure_extractor
from ganray.train.layout import JOB, read_json, run_store
from ganray.train.reference import ensure_reference, load_reference

PACKAGES = ("ganray", "torch", "ray", "numpy", "pyarrow", "safetensors")


def publish_run(storage_uri: str, name: str) -> str:
    """Publish the best generator of the run `name` and return the URI of its version. Needs Ray for a rescoring only."""
    storage = open_store(storage_uri)
    run = run_store(storage, name)
    stored = read_json(run, JOB)
    if stored is None:
        raise UserError("RUN", f"there is no run {name!r} in {storage.uri}", "name a run that `ganray train` has started there")
    job = Job.model_validate(stored)
    prepared = find_dataset(job.data, storage)
    if prepared is None:
        raise UserError(
            "storage", f"{storage.uri} no longer holds the dataset of run {name!r}", "prepare it again with `ganray prepare JOB`"
        )
    return publish_best(job, run, prepared)


def publish_best(job: Job, run: ObjectStore, prepared: Prepared) -> str:
    """Publish a run's best scored generator, once, and return the URI of its version; the best pointer moves if it is better."""
    checkpoint = best_checkpoint(job, run)
    best = checkpoint.progress["best"]
    extractor = ensure_extractor(job, prepared)
    rules = protocol(job.evaluate, fingerprint=prepared.card.fingerprint, extractor=extractor.hash)
    lineage = describe_lineage(job, run, prepared, checkpoint)
    files = artifact_files(job, checkpoint, prepared, rules, lineage)
    registry = Registry(prepared.storage)
    number = registry.publish(job.model_name, files, lineage, key=f"{run.uri}@{checkpoint.name}")
    model = registry.model(job.model_name)

    def rescore(incumbent: str) -> float | None:
        return score_published(child(model, incumbent).uri, job, prepared)

    move_best(model, number, best["score"], rules, rescore=rescore)
    return child(model, number).uri


def best_checkpoint(job: Job, run: ObjectStore) -> Checkpoint:
    """Return the checkpoint with the run's best score."""
    newest, _ = newest_checkpoint(run)
    best = newest and newest.progress["best"]
    if not best:
        raise UserError(
            "RUN", f"run {job.name!r} has no generator with a score yet", f"let it train past evaluate.every={job.evaluate.every} images"
        )
    return load_checkpoint(run, best["checkpoint"])


def artifact_files(
    job: Job, checkpoint: Checkpoint, prepared: Prepared, rules: dict[str, Any], lineage: dict[str, Any]
) -> dict[str, bytes]:
    """Return the files of the artifact that a checkpoint becomes, but for the manifest."""
    scores = checkpoint.progress["best"]["scores"]
    files = {
        GENERATOR: checkpoint.read(GENERATOR),
        CONFIG: to_json(generator_config(job.networks, job.data.shape, prepared.card.classes)),
        METRICS: to_json({"scores": scores, "protocol": rules}),
    }
    card = model_card(job, scores=scores, protocol=rules, dataset=prepared.card.model_dump(mode="json"), lineage=lineage)
    samples = sample_chunk(build(files), job.networks.latent_dim, seed=job.evaluate.seed, chunk=0)
    picture = io.BytesIO()
    grid(samples.numpy()).save(picture, "PNG")
    return {**files, SAMPLES: picture.getvalue(), CARD: card.encode()}


def describe_lineage(job: Job, run: ObjectStore, prepared: Prepared, checkpoint: Checkpoint) -> dict[str, Any]:
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


def score_published(uri: str, job: Job, prepared: Prepared) -> float | None:
    """Return a published generator's score under the job's protocol, None if it makes samples of another shape."""
    generator = load_generator(uri)
    extractor = ensure_extractor(job, prepared)
    reference = ensure_reference(job, prepared, extractor)
    if tuple(sample_chunk(generator, generator.latent_dim, seed=0, chunk=0).shape[1:]) != job.data.shape:
        return None
    scores = score_generator(generator, generator.latent_dim, extractor.network(), load_reference(prepared, reference), job.evaluate)
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
