"""What generators sample from: standard normal latents, and for conditional ones labels as frequent as in their data."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ganray.gan.random_streams import RandomStream

Inputs = tuple[Tensor, Tensor | None]


@dataclass(frozen=True)
class Prior:
    """The inputs of a generator. `class_shares` sum to 1, one a class; empty for a generator that is not conditional."""

    latent_dim: int
    class_shares: tuple[float, ...] = ()

    @property
    def num_classes(self) -> int:
        return len(self.class_shares)

    def draw(self, seed: int, stream: str, start: int, number: int) -> Inputs:
        """Return latents float32 [number, latent_dim] and labels int64 [number], or None, of samples `start` on, by index alone."""
        latents = RandomStream(seed, stream).normals(start, number, self.latent_dim)
        if not self.class_shares:
            return latents, None
        uniforms = RandomStream(seed, f"{stream}/labels").uniforms(start, number, 1)[:, 0]
        edges = np.cumsum(self.class_shares)[:-1]
        return latents, torch.from_numpy(np.searchsorted(edges, uniforms, side="right"))
