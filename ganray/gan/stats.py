"""What a step says about itself, as tensors on its device: summed up there, and read only when a line of metrics is due."""

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


def gathered(stats: Stats) -> Tensor:
    """Return a step's statistics as one vector, `STATS` in order and then 1 if any was not finite, which leaves the others 0."""
    (first, *_) = stats.values()
    values = torch.stack([stats[name].to(torch.float32) if name in stats else first.new_zeros((), dtype=torch.float32) for name in STATS])
    skipped = ~values.isfinite().all()
    return torch.cat([values.masked_fill(skipped, 0.0), skipped.float()[None]])


def mean_of(collected: list[Stats]) -> Stats:
    """Return the mean of the statistics of equal parts."""
    if len(collected) == 1:
        return collected[0]
    return {name: torch.stack([stats[name] for stats in collected]).mean() for name in collected[0]}


@torch.no_grad()
def diversity(fake_images: Tensor, real_images: Tensor) -> Tensor:
    """Return the mean squared distance between two fakes of a batch over that between two reals; 0 where all fakes are alike.

    That mean is twice the variance over the batch, which needs no pairs.
    """
    return _variance(fake_images) / _variance(real_images).clamp(min=MIN_VARIANCE)


def _variance(images: Tensor) -> Tensor:
    deviations = images.float() - images.float().mean(0)  # faster than `var`, whose pass over a first dimension is slow
    return deviations.square().mean()


def gradient_norm(optimizer: torch.optim.Optimizer) -> Tensor:
    """Return the norm of all gradients that an optimizer is about to take; not finite if one of them is not."""
    gradients = [weight.grad for group in optimizer.param_groups for weight in group["params"] if weight.grad is not None]
    return torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
