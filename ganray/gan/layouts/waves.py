"""The layout of waves: int16 stored, numbers in [-1, 1] for networks."""

from dataclasses import dataclass

import torch
from torch import Tensor

FULL_SCALE = 32767


@dataclass(frozen=True)
class WaveLayout:
    """Waves of `shape`, (channels, samples)."""

    shape: tuple[int, ...]

    def from_samples(self, samples: Tensor) -> Tensor:
        """Return 16-bit integers as numbers in [-1, 1]."""
        return samples.float().div_(FULL_SCALE)

    def to_samples(self, outputs: Tensor) -> Tensor:
        """Return numbers in [-1, 1] as 16-bit integers."""
        return outputs.float().mul(FULL_SCALE).round_().clamp_(-FULL_SCALE, FULL_SCALE).to(torch.int16)
