"""The prior of generators: standard normal latents and, for conditional ones, labels distributed as in the dataset."""

import math
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


def truncate(latents: Tensor, threshold: float) -> Tensor:
    """Return standard normal latents as truncated normal ones, each number within plus or minus `threshold`.

    The truncation trick (Brock et al. 2019, section 3.1) draws numbers beyond the threshold again. This maps each number to the same
    quantile of the truncated distribution, which comes to that, and the samples stay those of their latents, nearer to the mean.
    """
    outside = 0.5 * math.erfc(threshold / math.sqrt(2))  # of the normal distribution, beyond each end
    quantiles = outside + (1 - 2 * outside) * torch.special.ndtr(latents.double())
    truncated: Tensor = torch.special.ndtri(quantiles).to(latents.dtype)
    return truncated.clamp(-threshold, threshold)
