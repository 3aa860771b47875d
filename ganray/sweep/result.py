"""The end of a sweep: its best trials are scored again, on more samples and other latents, the best of those is published, and the result.

The least of many noisy scores flatters itself; the second score was not chosen for being low.
"""

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import ray
from pydantic import ConfigDict, TypeAdapter

from ganray.cluster.capacity import worker_resources
from ganray.cluster.errors import results_of
from ganray.config import Job, Sweep
from ganray.errors import ConfigError, TrainingDiverged
from ganray.evaluation.evaluation import AnyEvaluation, prepare_evaluation
from ganray.gan.sampling import sample_chunk
from ganray.metrics.score import Protocol
from ganray.registry.artifact import build
from ganray.registry.generator_config import generator_config, prior_of
from ganray.registry.manifest import CONFIG, GENERATOR, to_json
from ganray.runs.checkpoint import Checkpoint
from ganray.runs.run import RESULT, Run
from ganray.runs.start import start_origin
from ganray.runs.trials import Trial, best_first, rank_key
from ganray.storage import MissingObject, ObjectStore
from ganray.sweep.driver import read_data_frame
from ganray.sweep.plan import finalists_job, trial_job
from ganray.sweep.search_state import SweepEnd
from ganray.train.context import WorkerContext
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


@dataclass(frozen=True)
class SweepResult:
    """A sweep's trials by number, and its finalists, best first. After an interruption or at a limit the same command goes on.

    `winner` is the number of the best finalist's trial, and `version` the URI that it was published as, if it was. `dataframe` is
    Ray Tune's `ResultGrid` as a data frame: the last result of each trial, and its params as `config/<dotted path>`.
    """

    name: str
    sweep: str
    ended: SweepEnd
    images_seen: int
    trials: list[Trial]
    finalists: list[Finalist] = field(default_factory=list)
    winner: int | None = None
    version: str | None = None
    was_finished: bool = False
    dataframe: pd.DataFrame | None = field(default=None, compare=False, repr=False)

    __pydantic_config__ = ConfigDict(arbitrary_types_allowed=True)  # of the data frame

    def to_json(self) -> dict[str, Any]:
        """Return plain data, without the data frame."""
        plain: dict[str, Any] = _RESULT.dump_python(self, mode="json", exclude={"dataframe"}, exclude_unset=True)
        return plain


_FINALISTS, _RESULT = TypeAdapter(list[Finalist]), TypeAdapter(SweepResult)


def check_any_scored(found: SweepResult) -> None:
    """Raise `TrainingDiverged` if no trial has a score, or `ConfigError` if a limit ended the search before one could."""
    if best_first(found.trials, maximise=False):
        return
    reasons = ", ".join(sorted({trial.reason for trial in found.trials if trial.reason})) or "none was evaluated"
    problem = f"no trial has a finite score: {reasons}"
    if found.ended == SweepEnd.DONE:
        raise TrainingDiverged("sweep.space", problem, "mend what is named, or search lower learning rates")
    raise ConfigError("sweep.space", problem, f"raise sweep.{found.ended}")


def read_result(run: Run, sweep: Sweep) -> SweepResult | None:
    """Return the result of a sweep that has nothing left to do within its limits."""
    stored = run.result({"limits": _limits(sweep)})
    return _RESULT.validate_python({**stored, "dataframe": read_data_frame(run.store)}) if stored else None


def write_result(run: Run, sweep: Sweep, result: SweepResult) -> None:
    """Record how a sweep ended, and within which limits."""
    run.check_fence()
    run.store.write(RESULT, (json.dumps({"limits": _limits(sweep), **result.to_json()}, indent=1) + "\n").encode())


def _limits(sweep: Sweep) -> dict[str, Any]:
    """Return what decides whether a sweep that has ended has more to do."""
    return sweep.model_dump(mode="json", include={"trials", "max_images", "max_hours", "finalists"})


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
    checkpoint = sweep.trial(trial.number).checkpoints.best()
    before = known.get((trial.number, checkpoint.name))
    if before and before.protocol == evaluation.protocol:
        return before
    own = trial_job(job, trial.params, trial.number)
    card = evaluation.dataset.card
    config = generator_config(own.networks, card.codec, prior_of(own.networks, card), card.classes)
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
    run, sweep = context.run.trial(winner.number), context.job.required_sweep
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
    checkpoint = with_scores(run.checkpoints.best(), finalist)
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
