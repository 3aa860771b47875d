"""Scores the run's generator across its workers, and keeps the best score so far on rank 0."""

import torch
from torch import nn

from ganray.evaluation.score import is_broken
from ganray.gan.state import GanState
from ganray.metrics.score import Protocol
from ganray.runs.checkpoint import checkpoint_name
from ganray.runs.status import Best
from ganray.train.context import WorkerContext
from ganray.train.worker.divergence import Event
from ganray.train.worker.metrics import MetricsLogger


class Evaluator:
    """Scores by the run's protocol. `best` is the run's best so far under it."""

    def __init__(self, context: WorkerContext, device: torch.device, *, best: Best | None) -> None:
        self.prior = context.prior
        self.scorer = context.evaluation.scorer(device)
        self.best = comparable(best, self.scorer.protocol)

    def evaluate(self, generator: nn.Module, state: GanState, metrics: MetricsLogger) -> None:
        """Score the generator, which is to be checkpointed at this state, and log what it scored. A collective."""
        score = self.scorer(generator, self.prior)
        if score is None:  # not rank 0
            return
        if is_broken(generator, score.scores):
            message = f"at {state.images_seen:,} images the generator is broken: samples that are all alike, or non-finite weights"
            metrics.write_events([Event("broken generator", message)])
            return
        metrics.log_scores(score)
        if score.protocol.is_better(score.value, than=self.best.score if self.best else None):
            name = checkpoint_name(state.attempt, state.images_seen)
            self.best = Best.of(score, images_seen=state.images_seen, checkpoint=name)


def comparable(best: Best | None, protocol: Protocol) -> Best | None:
    """Return the best score of a run so far, unless it was measured by another protocol."""
    return best if best and best.protocol == protocol else None
