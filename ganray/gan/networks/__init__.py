"""Network families, a file each, built from the job's `networks` section."""

import torch
from torch import nn

from ganray.config import DcganNetworks
from ganray.gan.networks.dcgan import DcganDiscriminator, DcganGenerator
from ganray.gan.networks.norm import measure_standing_statistics

__all__ = ["build_generator", "build_networks", "measure_standing_statistics"]


def build_networks(config: DcganNetworks, shape: tuple[int, int, int], *, seed: int) -> tuple[nn.Module, nn.Module]:
    """Return generator and discriminator for samples of `shape` (C, H, W), initialised by `seed` alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build_generator(config, shape), DcganDiscriminator(config, shape)


def build_generator(config: DcganNetworks, shape: tuple[int, int, int]) -> nn.Module:
    """Return a generator of latents [N, latent_dim] to samples [N, C, H, W], for weights that are loaded next."""
    return DcganGenerator(config, shape)
