"""Network families for waves: one-dimensional convolutions."""

from typing import Literal

from pydantic import Field

from ganray.config.fields import Count, PositiveCount
from ganray.config.networks.base import Conditional, LatentDim, Unnormalised

MIN_INNERMOST = 8  # samples: waves are quartered while they stay at least this long
MAX_LAYERS = 10  # of a family, whatever the length of a wave


class WaveganNetworks(Unnormalised):
    """WaveGAN (Donahue et al. 2019): one-dimensional convolutions of stride 4, without normalisation; wants penalties.wgan_gp or R1."""

    kind: Literal["wavegan"] = "wavegan"
    width: PositiveCount = Field(32, description="channels of the layer next to the wave, which double with each quartering; the paper: 64")
    max_width: PositiveCount = Field(512, description="maximum of channels of a layer; the paper: 1024")
    latent_dim: LatentDim = 100
    phase_shuffle: Count = Field(2, description="samples by which the discriminator's maps are shifted at random, at most; 0: off")
    conditional: Conditional = False


def num_quarterings(samples: int) -> int:
    """Return how often a wave is quartered: as long as at least eight samples remain, and once at least."""
    layers = 1
    while layers < MAX_LAYERS and samples // 4 ** (layers + 1) >= MIN_INNERMOST:
        layers += 1
    return layers
