"""Scores the run's generator across its workers, and keeps the best score so far on rank 0."""

from functools import partial

import torch
from torch import nn

from ganray.cluster.background import BackgroundCall
from ganray.evaluation.evaluation import AnyEvaluation, Scorer, make_evaluation
from ganray.evaluation.score import is_broken
from ganray.gan.distributed import broadcast, rank
from ganray.gan.state import GanState
from ganray.metrics.score import Protocol
from ganray.runs.checkpoint import checkpoint_name
from ganray.runs.status import Best
from ganray.train.context import WorkerContext
from ganray.train.worker.divergence import Event
from ganray.train.worker.metrics import MetricsLogger

POLL_S = 1.0  # between the ranks' collectives while rank 0 fits: none may wait for as long as that takes


class Evaluator:
    """Scores by the run's protocol. `best` is the run's best so far under it."""

    def __init__(self, context: WorkerContext, device: torch.device, *, best: Best | None) -> None:
        self.context, self.device, self.best = context, device, best
        self.scorer: Scorer | None = None
        if context.evaluation:
            self._load(context.evaluation)

    def evaluate(self, generator: nn.Module, state: GanState, metrics: MetricsLogger) -> None:
        """Score the generator, which is to be checkpointed at this state, and log what it scored, if the job asks for it. A collective."""
        if not self.context.job.evaluate.enabled:
            return
        scorer = self.scorer or self._load(make_on_rank_zero(self.context, self.device))
        score = scorer(generator, self.context.prior)
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

    def _load(self, evaluation: AnyEvaluation) -> Scorer:
        """Load what samples are compared with; a best score of another protocol is forgotten."""
        self.scorer = evaluation.scorer(self.device)
        self.best = comparable(self.best, self.scorer.protocol)
        return self.scorer


def make_on_rank_zero(context: WorkerContext, device: torch.device) -> AnyEvaluation:
    """Fit the extractor and measure the data on rank 0, as far as nobody has, and return the evaluation on every rank. A collective.

    Training stands still for it: the fit takes the same threads and changes settings of the process. Its progress goes to the driver.
    """
    made: list[AnyEvaluation] = []

    def show(stage: str | None, done: int = 0, total: int = 1) -> None:
        context.progress_actor.push.remote({"stage": stage, "stage_done": done / total})

    make = partial(make_evaluation, context.job, context.dataset, device, extractor=context.extractor, progress=show)
    call = BackgroundCall(lambda: made.append(make()), name="evaluation")
    if rank() == 0:
        call.start()
    while broadcast(call.is_alive()):
        if rank() == 0:
            call.join(POLL_S)
    if call.error:
        raise call.error
    if rank() == 0:
        show(None)
    evaluation = broadcast(made[0] if made else None)
    assert evaluation is not None
    return evaluation


def comparable(best: Best | None, protocol: Protocol) -> Best | None:
    """Return the best score of a run so far, unless it was measured by another protocol."""
    return best if best and best.protocol == protocol else None
