"""The inputs of one step: real images, latents, labels, and the random numbers of augmentation and penalties, a row a sample."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ganray.config import Augment, DiffAugment, MotionNetworks, Networks, Penalties, WaveganNetworks
from ganray.config.networks.video import PAIR_UNIFORMS
from ganray.config.networks.wave import MAX_LAYERS
from ganray.config.training import deal
from ganray.gan.augment import NUM_UNIFORMS
from ganray.gan.random_streams import RandomStream


@dataclass(frozen=True)
class Batch:
    """A rank's local batch, [n, ...] each. `real_images` lie in [-1, 1], `uniforms` in (0, 1)."""

    real_images: Tensor
    latents: Tensor
    labels: Tensor | None = None
    uniforms: Tensor | None = None

    def __len__(self) -> int:
        return len(self.real_images)

    def split(self, parts: int, *, ghost_batch: int) -> Iterator["Batch"]:
        """Yield the batch in parts, whole ghost batches each, for gradient accumulation; in fewer where it has fewer ghost batches."""
        for share in deal(len(self), parts, ghost_batch=ghost_batch):
            yield self.rows(share.start, share.start + share.size)

    def rows(self, start: int, stop: int) -> "Batch":
        """Return the samples `start` to `stop - 1`, or as many of them as there are."""
        labels = None if self.labels is None else self.labels[start:stop]
        uniforms = None if self.uniforms is None else self.uniforms[start:stop]
        return Batch(self.real_images[start:stop], self.latents[start:stop], labels, uniforms)


def num_uniforms(augment: Augment, penalties: Penalties, networks: Networks) -> int:
    """Return the columns of `Batch.uniforms`: those of augmentation, of phase shuffle, and one for WGAN-GP's interpolation."""
    return num_augment_uniforms(augment) + num_discriminator_uniforms(networks) + (penalties.wgan_gp != 0)


def num_augment_uniforms(augment: Augment) -> int:
    """Return the columns of augmentation, which come first."""
    return NUM_UNIFORMS if isinstance(augment, DiffAugment) else 0


def num_discriminator_uniforms(networks: Networks) -> int:
    """Return the columns that a discriminator draws by: of phase shuffle, one a layer at most, or of a pair of frames."""
    if isinstance(networks, MotionNetworks):
        return PAIR_UNIFORMS
    return MAX_LAYERS if isinstance(networks, WaveganNetworks) and networks.phase_shuffle else 0


def draw_inputs(seed: int, attempt: int, start: int, number: int, *, latent_dim: int, uniforms: int) -> tuple[Tensor, Tensor | None]:
    """Return latents [number, latent_dim] and uniforms [number, `uniforms`] of the training samples `start` on, float32."""
    latents = RandomStream(seed, "latents", attempt).normals(start, number, latent_dim)
    if not uniforms:
        return latents, None
    return latents, torch.from_numpy(RandomStream(seed, "step", attempt).uniforms(start, number, uniforms)).float()
