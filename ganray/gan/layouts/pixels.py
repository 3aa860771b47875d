"""The layout of images: uint8 pixels stored, numbers in [-1, 1] for networks."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ganray.gan.networks.memory import channels_last_if_maps


@dataclass(frozen=True)
class PixelLayout:
    """Pixels of `shape`, (channels, height, width) of images."""

    shape: tuple[int, ...]

    def from_samples(self, samples: Tensor) -> Tensor:
        """Return pixels as numbers in [-1, 1], channels last in memory."""
        return from_pixels(samples)

    def to_samples(self, outputs: Tensor) -> Tensor:
        """Return numbers in [-1, 1] as pixels."""
        return to_pixels(outputs)


def to_pixels(samples: Tensor) -> Tensor:
    """Return samples in [-1, 1] as uint8 pixels."""
    return samples.float().add(1).mul(127.5).round_().clamp_(0, 255).to(torch.uint8)


def from_pixels(pixels: Tensor) -> Tensor:
    """Return uint8 pixels [N, C, H, W] as float32 in [-1, 1], channels last in memory."""
    return channels_last_if_maps(pixels).float().div_(127.5).sub_(1)
