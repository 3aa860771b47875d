"""The generator's exponential moving average, whose weights are what gets evaluated and published."""

import torch
from torch import nn

RAMP = 0.05  # the half-life is at most this share of the images seen (Karras et al. 2020, "Training GANs with limited data")


def ema_decay(images_seen: int, images: int, half_life: float) -> float:
    """Return the share that the average keeps when `images` more have been seen; lengths are in images."""
    return 0.5 ** (images / max(min(half_life, RAMP * images_seen), 1e-8))


@torch.no_grad()
def update_ema(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Move the parameters of `average` towards those of `network`, in place. Both hold the same parameters on every rank."""
    torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), 1 - decay)
