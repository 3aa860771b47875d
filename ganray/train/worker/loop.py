"""The loop on each worker, from the newest checkpoint to the end of the job."""

from typing import Any

import torch

from ganray.gan.batch import Batch, num_uniforms
from ganray.gan.distributed import broadcast, rank, world_size
from ganray.gan.state import GanState, compile_networks, unchanged
from ganray.gan.step import AdversarialStep, recipe_of
from ganray.runs.checkpoint import load_checkpoint, newest_checkpoint
from ganray.train.context import WorkerContext, fresh_state
from ganray.train.worker.batches import BatchLoader
from ganray.train.worker.metrics import MetricsLogger
from ganray.train.worker.periodic import Milestones
from ganray.train.worker.process import prepare_process


def train_worker(setup: WorkerContext) -> None:
    """Train from the newest checkpoint of the run, or from the start, to the end of the job or to a request to stop."""
    device = prepare_process(setup)
    state, progress = start_state(setup, device)
    compile_networks(state, setup.job.train.compile)
    step = AdversarialStep(state, recipe_of(setup.job, setup.precision))
    warm_up(step, setup, device)
    with BatchLoader(setup, device, start=state.images_seen, attempt=state.attempt) as feed:
        ledger = MetricsLogger(setup, state, feed, trained_s=progress.get("trained_s", 0.0))
        milestones = Milestones(setup, state, ledger, progress)
        while not ledger.ended:
            before = state.images_seen
            ledger.add(step(feed.next()))
            milestones.pass_by(before)
        milestones.close()


def start_state(setup: WorkerContext, device: torch.device) -> tuple[GanState, dict[str, Any]]:
    """Return the state to go on from, and what the run knew when it was saved. Rank 0 chooses the checkpoint for all."""
    state = fresh_state(setup, device)
    name = broadcast(choose_checkpoint(setup) if rank() == 0 else None)
    if name is None:
        return state, {}
    checkpoint = load_checkpoint(setup.run, name)
    state.load_state_dict(checkpoint.state())
    return state, checkpoint.progress


def choose_checkpoint(setup: WorkerContext) -> str | None:
    """Return the name of the newest whole checkpoint, and tell the user of torn ones."""
    checkpoint, passed_over = newest_checkpoint(setup.run)
    for line in passed_over:
        setup.monitor.say.remote(line)
    return checkpoint.name if checkpoint else None


def warm_up(step: AdversarialStep, setup: WorkerContext, device: torch.device) -> None:
    """Step on noise and forget it: DDP orders its buckets after its first backward, on which sums of floats depend.

    Every start does it as a run's first steps would be, wherever the run stands.
    """
    job = setup.job
    share = job.train.batch_size // world_size()
    with unchanged(step.state):
        step.state.images_seen = 0
        latents, labels = setup.prior.draw(job.seed, "warm-up", 0, share)
        images = torch.zeros(share, *job.data.shape).contiguous(memory_format=torch.channels_last)
        uniforms = torch.full((share, num_uniforms(job.augment, job.penalties)), 0.5)
        for _ in range(job.train.discriminator_steps):
            step(Batch(*(tensor if tensor is None else tensor.to(device) for tensor in (images, latents, labels, uniforms))))
