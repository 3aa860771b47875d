"""DCGAN (Radford et al. 2016): strided 4x4 convolutions, batch normalisation, ReLU and LeakyReLU."""

import itertools

import torch
from torch import Tensor, nn

from ganray.config import DcganNetworks
from ganray.gan.networks.memory import channels_last
from ganray.gan.networks.norm import GroupedBatchNorm

SMALLEST_SIDE = 4  # pixels of the shorter side of the innermost feature map


class DcganGenerator(nn.Module):
    """Maps latents [N, latent_dim] to samples [N, C, H, W] in [-1, 1]."""

    def __init__(self, config: DcganNetworks, shape: tuple[int, int, int]) -> None:
        super().__init__()
        widths = _widths(config, shape)[::-1]  # innermost first
        self.innermost = (widths[0], shape[1] >> len(widths), shape[2] >> len(widths))
        self.project = nn.Linear(config.latent_dim, _size(self.innermost), bias=False)
        self.project_norm = nn.Sequential(GroupedBatchNorm(widths[0], config.norm_group), nn.ReLU(inplace=True))
        layers: list[nn.Module] = []
        for inputs, outputs in itertools.pairwise(widths):
            layers += [
                nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=False),
                GroupedBatchNorm(outputs, config.norm_group),
                nn.ReLU(inplace=True),
            ]
        self.upsample = nn.Sequential(*layers, nn.ConvTranspose2d(widths[-1], shape[0], 4, 2, 1), nn.Tanh())
        self.apply(_initialise)

    def forward(self, latents: Tensor) -> Tensor:
        features = self.project(latents).view(-1, *self.innermost).contiguous(memory_format=torch.channels_last)
        return self.upsample(self.project_norm(features))


class DcganDiscriminator(nn.Module):
    """Maps samples [N, C, H, W] in [-1, 1] to logits [N]: high for what looks real."""

    def __init__(self, config: DcganNetworks, shape: tuple[int, int, int]) -> None:
        super().__init__()
        widths = _widths(config, shape)
        layers: list[nn.Module] = [nn.Conv2d(shape[0], widths[0], 4, 2, 1), nn.LeakyReLU(0.2, inplace=True)]
        for inputs, outputs in itertools.pairwise(widths):
            layers += [
                nn.Conv2d(inputs, outputs, 4, 2, 1, bias=False),
                GroupedBatchNorm(outputs, config.norm_group),
                nn.LeakyReLU(0.2, inplace=True),
            ]
        self.downsample = nn.Sequential(*layers)
        innermost = (shape[1] >> len(widths), shape[2] >> len(widths))
        self.decide = nn.Conv2d(widths[-1], 1, innermost)
        self.apply(_initialise)

    def forward(self, images: Tensor) -> Tensor:
        return self.decide(self.downsample(channels_last(images))).flatten()


def _widths(config: DcganNetworks, shape: tuple[int, int, int]) -> list[int]:
    """Return the channels after each halving of the picture, down to a shorter side of four pixels."""
    halvings = (min(shape[1:]) // SMALLEST_SIDE).bit_length() - 1
    return [min(config.width << level, config.max_width) for level in range(halvings)]


def _size(shape: tuple[int, int, int]) -> int:
    return shape[0] * shape[1] * shape[2]


def _initialise(module: nn.Module) -> None:
    """Draw weights from N(0, 0.02), and scales of normalisation from N(1, 0.02), as section 3 of the paper does."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, GroupedBatchNorm):
        nn.init.normal_(module.weight, 1.0, 0.02)
