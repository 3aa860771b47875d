"""The end of a sweep: its best trials are scored again, on more samples and other latents, and the best of those is published.

The least of many noisy scores flatters itself; the second score was not chosen for being low.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import ray

from ganray.cluster.capacity import worker_resources
from ganray.config import Job
from ganray.evaluation.reference import ensure_reference, load_reference
from ganray.evaluation.score import protocol, score_generator
from ganray.gan.sampling import sample_chunk
from ganray.modalities.image import grid_png
from ganray.registry.artifact import CONFIG, GENERATOR, build, generator_config
from ganray.registry.manifest import to_json
from ganray.runs.checkpoint import Checkpoint
from ganray.runs.layout import read_json, write_json
from ganray.sweep.jobs import final_job
from ganray.sweep.records import Trial, best_first, rank_key, trial_store
from ganray.sweep.slot import SweepContext
from ganray.sweep.space import trial_job
from ganray.train.publish import best_checkpoint, publish_checkpoint

FINALISTS = "finalists.json"


def score_finalists(job: Job, shared: SweepContext, trials: list[Trial]) -> list[dict[str, Any]]:
    """Return the best trials with their first and second scores, by the second; what was scored before is not scored again."""
    final, maximise = final_job(job), job.sweep.maximise
    setup = replace(shared.workers, job=final, resident=None, monitor=None)
    setup = replace(setup, reference=ensure_reference(final, setup.prepared, setup.extractor))
    setup = replace(setup, protocol=protocol(final.evaluate, fingerprint=setup.prepared.card.fingerprint, extractor=setup.extractor.hash))
    chosen = best_first(trials, maximise=maximise)[: job.sweep.finalists.num]
    known = {(row["trial"], row["checkpoint"]): row for row in (read_json(shared.sweep, FINALISTS) or {"rows": []})["rows"]}
    worker = worker_resources(job)
    task = score_trial.options(num_cpus=worker["CPU"], num_gpus=worker.get("GPU", 0))
    everyone = ray.put(replace(shared, workers=setup, desk=None))
    rows = ray.get([task.remote(everyone, trial, known) for trial in chosen])
    rows.sort(key=lambda row: (rank_key(row["scores"].get(job.sweep.metric), maximise=maximise), row["trial"]))
    write_json(shared.sweep, FINALISTS, {"rows": rows})
    return rows


@ray.remote(max_retries=3)
def score_trial(shared: SweepContext, trial: Trial, known: dict[tuple[int, str], dict[str, Any]]) -> dict[str, Any]:
    """Return a trial's second scores, and write a grid of its samples."""
    run, setup = trial_store(shared.sweep, trial.number), shared.workers
    job = trial_job(shared.job, trial.point, trial.number)
    checkpoint = best_checkpoint(job, run)
    row = known.get((trial.number, checkpoint.name))
    if row and row["protocol"] == setup.protocol:
        return row
    config = generator_config(job.networks, job.data.shape, replace(setup, job=job).prior, setup.prepared.card.classes)
    generator = build({CONFIG: to_json(config), GENERATOR: checkpoint.read(GENERATOR)})
    scores = score_generator(
        generator, generator.prior, setup.extractor.network(), load_reference(setup.prepared, setup.reference), job.evaluate
    )
    samples = sample_chunk(generator, generator.prior, seed=job.evaluate.seed, chunk=0)
    shared.sweep.write(f"finalists/{trial.name}.png", grid_png(samples.numpy()))
    first = checkpoint.progress["best"]
    metric = shared.job.sweep.metric
    return {
        "trial": trial.number,
        "checkpoint": checkpoint.name,
        "images_seen": checkpoint.images_seen,
        "first_score": first["scores"][metric],
        "score": scores[metric],
        "scores": scores,
        "protocol": setup.protocol,
        "first_protocol": first["protocol"],
    }


def publish_winner(job: Job, shared: SweepContext, winner: Trial, finalists: list[dict[str, Any]], *, say: Callable[[str], None]) -> str:
    """Publish the best finalist with its second scores, the sweep in its lineage, and return the URI of its version."""
    run = trial_store(shared.sweep, winner.number)
    final = trial_job(final_job(job), winner.point, winner.number)
    checkpoint = best_checkpoint(final, run)
    origin = {
        "name": job.name,
        "uri": shared.sweep.uri,
        "trial": winner.number,
        "point": winner.point,
        "copied": winner.lineage,
        "first_score": finalists[0]["first_score"],
        "sweep": job.sweep.model_dump(mode="json"),
    }
    return publish_checkpoint(
        final, run, shared.workers.prepared, _with_scores(checkpoint, finalists[0]), say=say, origin={"sweep": origin}
    )


def _with_scores(checkpoint: Checkpoint, row: dict[str, Any]) -> Checkpoint:
    """Return a checkpoint that knows its generator by its second scores."""
    metric = row["protocol"]["metric"]
    best = {**checkpoint.progress["best"], "score": row["scores"][metric], "scores": row["scores"], "protocol": row["protocol"]}
    progress = {**checkpoint.progress, "best": best}
    return replace(checkpoint, manifest={**checkpoint.manifest, "progress": progress})
