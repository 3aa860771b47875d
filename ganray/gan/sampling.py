"""Samples from a generator, in fixed chunks, so that sample i is the same whoever makes it and however many there are.

A convolution's last bits can depend on the size of its batch; whole chunks of one size keep the pixels equal.
"""

import torch
from torch import Tensor, nn

from ganray.gan.draws import Draws

CHUNK = 64


def num_chunks(num_samples: int) -> int:
    """Return how many chunks hold `num_samples` samples."""
    return -(-num_samples // CHUNK)


@torch.no_grad()
def sample_chunk(generator: nn.Module, latent_dim: int, *, seed: int, chunk: int) -> Tensor:
    """Return samples `chunk * CHUNK` and following as uint8 [CHUNK, C, H, W], on the generator's device."""
    device = next(generator.parameters()).device
    latents = Draws(seed, "samples").normals(chunk * CHUNK, CHUNK, latent_dim)
    return to_pixels(generator(latents.to(device)))


def to_pixels(samples: Tensor) -> Tensor:
    """Return samples in [-1, 1] as uint8 pixels."""
    return samples.float().add(1).mul(127.5).round_().clamp_(0, 255).to(torch.uint8)


def from_pixels(pixels: Tensor) -> Tensor:
    """Return uint8 pixels [N, C, H, W] as float32 in [-1, 1], channels last in memory."""
    return pixels.contiguous(memory_format=torch.channels_last).float().div_(127.5).sub_(1)
