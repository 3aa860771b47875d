"""The end of a sweep: its best trials are scored again, on more samples and other latents, and the best of those is published.

The least of many noisy scores flatters itself; the second score was not chosen for being low.
"""

import dataclasses
import json
from dataclasses import dataclass

import ray
from pydantic import TypeAdapter

from ganray.cluster.capacity import worker_resources
from ganray.cluster.errors import results_of
from ganray.config import Job
from ganray.evaluation.evaluation import AnyEvaluation, prepare_evaluation
from ganray.gan.sampling import sample_chunk
from ganray.metrics.score import Protocol
from ganray.registry.artifact import build, generator_config
from ganray.registry.manifest import CONFIG, GENERATOR, to_json
from ganray.runs.checkpoint import Checkpoint
from ganray.runs.run import Run
from ganray.runs.start import start_origin
from ganray.runs.trials import Trial, best_first, rank_key
from ganray.storage import MissingObject, ObjectStore
from ganray.sweep.plan import finalists_job
from ganray.sweep.space import trial_job
from ganray.sweep.worker_group import trial_run
from ganray.train.context import WorkerContext, prior_of
from ganray.train.publish import publish_checkpoint, scored

FINALISTS = "finalists.json"


@dataclass(frozen=True)
class Finalist:
    """A trial that was scored again: `first_score` by the protocol that it was chosen by, `score` by the finalists'."""

    trial: int
    checkpoint: str
    images_seen: int
    first_score: float
    score: float
    scores: dict[str, float]
    protocol: Protocol
    first_protocol: Protocol


_FINALISTS = TypeAdapter(list[Finalist])


def score_finalists(context: WorkerContext, trials: list[Trial]) -> list[Finalist]:
    """Return the best trials of a sweep, by their second score; one that was scored before is not scored again."""
    job, sweep = context.job, context.job.required_sweep
    evaluation = prepare_evaluation(finalists_job(job), context.dataset)
    chosen = best_first(trials, maximise=sweep.maximise)[: sweep.finalists.num]
    known = {(finalist.trial, finalist.checkpoint): finalist for finalist in read_finalists(context.run.store)}
    resources = worker_resources(job)
    task = score_trial.options(num_cpus=resources["CPU"], num_gpus=resources.get("GPU", 0))
    tasks = [task.remote(job, context.run, evaluation, trial, known) for trial in chosen]
    finalists: list[Finalist] = results_of(tasks, "scoring finalists")
    finalists.sort(key=lambda finalist: (rank_key(finalist.scores.get(sweep.metric), maximise=sweep.maximise), finalist.trial))
    rows = _FINALISTS.dump_python(finalists, mode="json", exclude_unset=True)  # protocols as they were stored
    context.run.store.write(FINALISTS, (json.dumps({"rows": rows}, indent=1) + "\n").encode())
    return finalists


@ray.remote(max_retries=3)
def score_trial(job: Job, sweep: Run, evaluation: AnyEvaluation, trial: Trial, known: dict[tuple[int, str], Finalist]) -> Finalist:
    """Return a trial's second scores, and write a preview of its samples."""
    checkpoint = trial_run(sweep, trial.number).best_checkpoint()
    before = known.get((trial.number, checkpoint.name))
    if before and before.protocol == evaluation.protocol:
        return before
    own = trial_job(job, trial.params, trial.number)
    card = evaluation.dataset.card
    config = generator_config(own.networks, card.codec, prior_of(own, card), card.classes)
    generator = build({CONFIG: to_json(config), GENERATOR: checkpoint.read(GENERATOR)})
    score = evaluation.scorer()(generator, generator.prior)
    assert score is not None  # of a single process
    samples = sample_chunk(generator, generator.prior, generator.layout, seed=own.evaluate.seed, chunk=0)
    sweep.store.write(f"finalists/{trial.name}.png", card.codec.preview(samples.numpy()))
    first, metric = scored(checkpoint), job.required_sweep.metric
    return Finalist(
        trial=trial.number,
        checkpoint=checkpoint.name,
        images_seen=checkpoint.images_seen,
        first_score=first.scores[metric],
        score=score.scores[metric],
        scores=score.scores,
        protocol=score.protocol,
        first_protocol=first.protocol,
    )


def publish_winner(context: WorkerContext, winner: Trial, finalist: Finalist) -> str:
    """Publish the best finalist with its second scores, the sweep in its lineage, and return the URI of its version."""
    run, sweep = trial_run(context.run, winner.number), context.job.required_sweep
    origin = {
        "name": context.job.name,
        "uri": context.run.uri,
        "trial": winner.number,
        "params": winner.params,
        "exploits": winner.lineage,
        "first_score": finalist.first_score,
        "sweep": sweep.model_dump(mode="json"),
    }
    job = trial_job(finalists_job(context.job), winner.params, winner.number)
    checkpoint = with_scores(run.best_checkpoint(), finalist)
    return publish_checkpoint(job, run, context.dataset, checkpoint, origin={"sweep": origin, "started_from": start_origin(context.run)})


def with_scores(checkpoint: Checkpoint, finalist: Finalist) -> Checkpoint:
    """Return a checkpoint that knows its generator by its second scores."""
    protocol = finalist.protocol
    best = dataclasses.replace(scored(checkpoint), score=finalist.scores[protocol.metric], scores=finalist.scores, protocol=protocol)
    return dataclasses.replace(checkpoint, progress=dataclasses.replace(checkpoint.progress, best=best))


def read_finalists(sweep: ObjectStore) -> list[Finalist]:
    """Return the finalists that a sweep has scored."""
    try:
        return _FINALISTS.validate_python(json.loads(sweep.read(FINALISTS))["rows"])
    except MissingObject:
        return []
