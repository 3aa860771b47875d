"""The training loop of a worker: next batch, step, log, evaluate, sample, checkpoint, roll back, stop.

Every rank runs it in lockstep and takes the same decisions, from the count of images seen and from numbers that ranks have averaged.
"""

import contextlib
import dataclasses
from dataclasses import dataclass

import ray.train
import torch
from torch import Tensor, nn

from ganray.cluster.spot import watch_for_spot_notices
from ganray.config.training import Seconds
from ganray.gan.batch import Batch, num_uniforms
from ganray.gan.distributed import rank
from ganray.gan.networks.memory import channels_last_if_maps
from ganray.gan.sampling import sample_chunk
from ganray.gan.state import GanState, calibrated_ema, compile_networks, unchanged
from ganray.gan.step import AdversarialStep, recipe_of
from ganray.runs.event_log import EventKind, RunEvent
from ganray.runs.status import EndReason, Progress
from ganray.train.context import WorkerContext, fresh_state
from ganray.train.events import record_event
from ganray.train.worker.batches import BatchLoader, local_share
from ganray.train.worker.checkpoint_writer import CheckpointWriter
from ganray.train.worker.evaluator import Evaluator
from ganray.train.worker.metrics import MetricsLogger
from ganray.train.worker.process import prepare_logs, prepare_process
from ganray.train.worker.resume import load_latest


def train_worker(context: WorkerContext) -> None:
    """Train a run from its latest checkpoint, or from the start, to its end or to a request to stop.

    Raises `GanrayError`, on the rank that met it alone, as rank 0 does once another driver has taken the run over: Ray Train then ends
    the others, which may be waiting for it in a barrier.
    """
    device = prepare_process(context)
    if ray.train.get_context().get_local_rank() == 0:
        watch_for_spot_notices()
    found = load_latest(context, device)
    if found is not None:
        prepare_logs(context, attempt=found[0].attempt)
        train(context, device, *found)


def train(context: WorkerContext, device: torch.device, state: GanState, progress: Progress) -> None:
    """Run the loop from a state on. All cadences are in images seen, over all workers."""
    job = context.job
    compile_networks(state, job.train.compile)
    step = AdversarialStep(state, recipe_of(job, context.precision))
    warm_up(step, context, device)
    with (
        BatchLoader(context, device, start=state.images_seen, attempt=state.attempt) as batches,
        open_writer(context, state) if rank() == 0 else contextlib.nullcontext() as writer,
    ):
        metrics = MetricsLogger(context, state, batches, writer, progress)
        evaluator = Evaluator(context, device, best=progress.best)
        while metrics.ended is None:
            images_before = state.images_seen
            metrics.add(step(batches.next()))

            due = due_actions(context, images_before, state.images_seen)
            if metrics.ended or due.log:
                metrics.log()
                due = due.with_checkpoint(metrics.is_checkpoint_due)
            if metrics.ended == EndReason.DIVERGED:
                if writer:
                    leave_rollback(context, state, metrics, writer)
                return
            due = due.with_end(metrics.ended)
            if not due.interrupts_training:
                continue

            generator = None
            if due.evaluate or due.sample:
                generator = calibrated_ema(state, job.networks.ghost_batch, context.prior, seed=job.seed)
                if due.evaluate:
                    evaluator.evaluate(generator, state, metrics)
                if writer and due.sample:
                    writer.write_samples(draw_samples(context, generator), state.images_seen)
            if writer and due.checkpoint:
                writer.write_checkpoint(state, generator if due.evaluate else None, progress_at(progress, metrics, evaluator))
                metrics.note_checkpoint()
            report(state, evaluator)
            metrics.restart_clock()  # none of this is training time


def draw_samples(context: WorkerContext, generator: nn.Module) -> Tensor:
    """Return the samples that the run's record shows, the same latents each time."""
    return sample_chunk(generator, context.prior, context.layout, seed=context.job.evaluate.seed, chunk=0)


def open_writer(context: WorkerContext, state: GanState) -> CheckpointWriter:
    """Return what rank 0 writes the run's record with."""
    return CheckpointWriter(context.run, context.dataset.card.codec, state, keep=context.job.train.keep_checkpoints)


@dataclass(frozen=True)
class Due:
    """What a step's end asks for."""

    log: bool
    evaluate: bool
    sample: bool
    checkpoint: bool

    @property
    def interrupts_training(self) -> bool:
        """Whether there is more to do than to log."""
        return self.evaluate or self.sample or self.checkpoint

    def with_checkpoint(self, is_due: bool) -> "Due":
        """Return what is due where a checkpoint may be due by the clock."""
        return dataclasses.replace(self, checkpoint=self.checkpoint or is_due)

    def with_end(self, ended: EndReason | None) -> "Due":
        """Return what is due where training ends: a complete run is evaluated and sampled, and every run checkpointed."""
        complete = ended is not None and ended.is_complete
        evaluate = self.evaluate or complete
        return Due(self.log, evaluate, self.sample or complete, self.checkpoint or evaluate or ended is not None)


def due_actions(context: WorkerContext, images_before: int, images_seen: int) -> Due:
    """Return which cadences of the job fell due between two counts of images; a line of metrics comes before any of them."""
    train = context.job.train

    def is_due(every: int) -> bool:
        return images_seen // every > images_before // every

    checkpoint = not isinstance(train.checkpoint_every, Seconds) and is_due(train.checkpoint_every)
    due = Due(is_due(train.log_every), is_due(context.job.evaluate.every), is_due(train.samples_every), checkpoint)
    return Due(due.log or due.interrupts_training, due.evaluate, due.sample, due.checkpoint)


def progress_at(start: Progress, metrics: MetricsLogger, evaluator: Evaluator) -> Progress:
    """Return what a checkpoint records; an interruption is no end, since the same command goes on."""
    ended = None if metrics.ended == EndReason.INTERRUPTED else metrics.ended
    return Progress(
        trained_s=metrics.trained_s,
        best=evaluator.best,
        ended=ended,
        num_rollbacks=start.num_rollbacks,
        cloned_from=start.cloned_from,
        monitor=metrics.monitor.state,
    )


def leave_rollback(context: WorkerContext, state: GanState, metrics: MetricsLogger, writer: CheckpointWriter) -> None:
    """Commit the checkpoint that the next attempt starts from; the workers end, and the driver starts them again from there."""
    writer.flush()
    fresh = fresh_state(context, torch.device("cpu")).state_dict()
    max_rollbacks = context.job.divergence.max_rollbacks
    target = context.run.checkpoints.roll_back(attempt=state.attempt, fresh=fresh, max_rollbacks=max_rollbacks)
    record_event(context.run, RunEvent(EventKind.ROLLBACK, target.images_seen, target.attempt, {"from_images": state.images_seen}))
    if target.progress.ended is None:
        metrics.client.warn(f"rolling back to {target.images_seen:,} images for attempt {target.attempt}")


def report(state: GanState, evaluator: Evaluator) -> None:
    """Tell Ray Train how far the run is. The only call of `ray.train.report`, which is a barrier for all ranks."""
    ray.train.report({"images_seen": state.images_seen, **(evaluator.best.scores if evaluator.best else {})})


def warm_up(step: AdversarialStep, context: WorkerContext, device: torch.device) -> None:
    """Step on constant images and undo it: DDP orders its buckets after its first backward, on which sums of floats depend.

    Every start does it as a run's first steps would be, of pretraining and after it, wherever the run stands.
    """
    job = context.job
    local_batch_size = local_share(job).size
    with unchanged(step.state):
        latents, labels = context.prior.sample(job.seed, "warm-up", 0, local_batch_size)
        images = channels_last_if_maps(torch.zeros(local_batch_size, *context.layout.shape))
        uniforms = torch.full((local_batch_size, num_uniforms(job.augment, job.penalties, job.networks)), 0.5)
        batch = Batch(images.to(device), latents.to(device), labels if labels is None else labels.to(device), uniforms.to(device))
        for start in sorted({0, step.recipe.pretrain_images}):
            step.state.images_seen = start
            for _ in range(job.train.discriminator_steps):
                step(batch)
