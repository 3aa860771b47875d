"""What one step trains on: reals, latents, labels and the numbers that augmentation and penalties draw, a row a sample."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ganray.config import Augment, DiffAugment, Penalties
from ganray.gan.augment import NUM_UNIFORMS
from ganray.gan.random_streams import RandomStream


@dataclass(frozen=True)
class Batch:
    """A worker's share of a step, [n, ...] each. `real_images` lie in [-1, 1], `uniforms` in (0, 1)."""

    real_images: Tensor
    latents: Tensor
    labels: Tensor | None = None
    uniforms: Tensor | None = None

    def split(self, parts: int) -> Iterator["Batch"]:
        """Yield the batch in equal parts."""
        size = len(self.real_images) // parts
        for start in range(0, parts * size, size):
            yield Batch(
                *(
                    None if tensor is None else tensor[start : start + size]
                    for tensor in (self.real_images, self.latents, self.labels, self.uniforms)
                )
            )


def num_uniforms(augment: Augment, penalties: Penalties) -> int:
    """Return how many numbers each sample's row of `uniforms` holds: those of augmentation, and the place between real and fake."""
    return (NUM_UNIFORMS if isinstance(augment, DiffAugment) else 0) + (penalties.wgan_gp != 0)


def draw_inputs(seed: int, attempt: int, start: int, number: int, *, latent_dim: int, uniforms: int) -> tuple[Tensor, Tensor | None]:
    """Return latents [number, latent_dim] and uniforms [number, `uniforms`] of the training samples `start` on, float32."""
    latents = RandomStream(seed, "latents", attempt).normals(start, number, latent_dim)
    if not uniforms:
        return latents, None
    return latents, torch.from_numpy(RandomStream(seed, "step", attempt).uniforms(start, number, uniforms)).float()
