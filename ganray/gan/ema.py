"""Exponential moving average (EMA) of the generator's weights: what gets evaluated and published."""

import torch
from torch import nn

RAMP_UP = 0.05  # the half-life is at most this fraction of the images seen ("EMA ramp-up", Karras et al. 2020, "Limited data")


def ema_decay(images_seen: int, images: int, half_life: float) -> float:
    """Return the weight of the old average after `images` more images; all three are in images."""
    return float(0.5 ** (images / max(min(half_life, RAMP_UP * images_seen), 1e-8)))


@torch.no_grad()
def update_ema(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Move the parameters of `average` towards those of `network`, in place. Both hold the same parameters on every rank."""
    torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), 1 - decay)
