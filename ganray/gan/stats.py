"""Statistics of a step as tensors on its device: averaged there, and copied to the host only when a line of metrics is written."""

from collections.abc import Sequence

import torch
from torch import Tensor

STATS = (
    "loss/discriminator",
    "loss/generator",
    "penalty/r1",
    "penalty/r2",
    "penalty/wgan_gp",
    "logits/real",
    "logits/fake",
    "discriminator/accuracy",
    "samples/diversity",
    "gradient/discriminator",
    "gradient/generator",
)
MIN_VARIANCE = 1e-8

Stats = dict[str, Tensor]


def stack_stats(stats: Stats) -> Tensor:
    """Return a step's statistics as one vector: `STATS` in order, then a flag that is 1 if any was not finite; the others are then 0."""
    (first, *_) = stats.values()
    values = torch.stack([stats[name].to(torch.float32) if name in stats else first.new_zeros((), dtype=torch.float32) for name in STATS])
    skipped = ~values.isfinite().all()
    return torch.cat([values.masked_fill(skipped, 0.0), skipped.float()[None]])


def sum_stats(collected: Sequence[tuple[Stats, float]]) -> Stats:
    """Return the sum of the statistics of parts, each divided by a number."""
    (first, divisor), *rest = collected
    if not rest and divisor == 1:
        return first
    return {name: torch.stack([stats[name] / divisor for stats, divisor in collected]).sum() for name in first}


@torch.no_grad()
def diversity(fake_images: Tensor, real_images: Tensor) -> Tensor:
    """Return the mean squared distance between two fakes of a batch, relative to that between two reals; 0 if all fakes are equal.

    The mean squared distance of a pair is twice the variance over the batch.
    """
    return _variance(fake_images) / _variance(real_images).clamp(min=MIN_VARIANCE)


def _variance(images: Tensor) -> Tensor:
    deviations = images.float() - images.float().mean(0)  # faster than `var`, whose pass over a first dimension is slow
    return deviations.square().mean()


def gradient_norm(optimizer: torch.optim.Optimizer) -> Tensor:
    """Return the global norm of the gradients of an optimizer's parameters; not finite if one of them is not."""
    gradients = [weight.grad for group in optimizer.param_groups for weight in group["params"] if weight.grad is not None]
    norm: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
    return norm
