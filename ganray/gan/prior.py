"""The prior of generators: standard normal latents and, for conditional ones, labels distributed as in the dataset."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ganray.gan.random_streams import RandomStream

Inputs = tuple[Tensor, Tensor | None]


@dataclass(frozen=True)
class Prior:
    """The distribution of a generator's inputs. `class_shares` are class probabilities; empty for an unconditional generator."""

    latent_dim: int
    class_shares: tuple[float, ...] = ()

    @property
    def num_classes(self) -> int:
        """The number of classes, 0 for an unconditional generator."""
        return len(self.class_shares)

    def sample(self, seed: int, stream: str, start: int, number: int) -> Inputs:
        """Return latents float32 [number, latent_dim] and labels int64 [number] (or None) of the samples with global index `start` on."""
        latents = RandomStream(seed, stream).normals(start, number, self.latent_dim)
        if not self.class_shares:
            return latents, None
        uniforms = RandomStream(seed, f"{stream}/labels").uniforms(start, number, 1)[:, 0]
        edges = np.cumsum(self.class_shares)[:-1]
        return latents, torch.from_numpy(np.searchsorted(edges, uniforms, side="right"))
