"""DCGAN (Radford et al. 2016): strided 4x4 convolutions, batch normalisation, ReLU and LeakyReLU."""

import itertools
import math

import torch
from torch import Tensor, nn

from ganray.config import DcganNetworks
from ganray.config.networks import num_halvings
from ganray.gan.networks.memory import channels_last
from ganray.gan.networks.norm import GroupedBatchNorm


class DcganGenerator(nn.Module):
    """Maps latents [N, latent_dim], and labels [N] if conditional, to samples [N, C, H, W] in [-1, 1]."""

    def __init__(self, config: DcganNetworks, shape: tuple[int, int, int], num_classes: int) -> None:
        super().__init__()
        widths = _widths(config, shape)[::-1]  # innermost first
        self.innermost = (widths[0], shape[1] >> len(widths), shape[2] >> len(widths))
        self.embed = nn.Embedding(num_classes, config.latent_dim) if num_classes else None
        inputs = config.latent_dim * (2 if num_classes else 1)
        self.project = nn.Linear(inputs, math.prod(self.innermost), bias=False)
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

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        if self.embed is not None:
            latents = torch.cat([latents, self.embed(labels)], dim=1)
        features = self.project(latents).view(-1, *self.innermost).contiguous(memory_format=torch.channels_last)
        return self.upsample(self.project_norm(features))


class DcganDiscriminator(nn.Module):
    """Maps samples [N, C, H, W] in [-1, 1], and labels [N] if conditional, to logits [N]: high for what looks real."""

    def __init__(self, config: DcganNetworks, shape: tuple[int, int, int], num_classes: int) -> None:
        super().__init__()
        widths = _widths(config, shape)
        normalised = config.discriminator_norm == "batch"
        layers: list[nn.Module] = [nn.Conv2d(shape[0], widths[0], 4, 2, 1), nn.LeakyReLU(0.2, inplace=True)]
        for inputs, outputs in itertools.pairwise(widths):
            layers.append(nn.Conv2d(inputs, outputs, 4, 2, 1, bias=not normalised))
            layers += [GroupedBatchNorm(outputs, config.norm_group)] if normalised else []
            layers.append(nn.LeakyReLU(0.2, inplace=True))
        self.downsample = nn.Sequential(*layers)
        innermost = (shape[1] >> len(widths), shape[2] >> len(widths))
        self.decide = nn.Conv2d(widths[-1], 1, innermost)
        self.project = nn.Conv2d(widths[-1], config.latent_dim, innermost, bias=False) if num_classes else None
        self.embed = nn.Embedding(num_classes, config.latent_dim) if num_classes else None
        self.apply(_initialise)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        features = self.downsample(channels_last(images))
        logits = self.decide(features).flatten()
        if self.embed is None:
            return logits
        projected = self.project(features).flatten(1)  # [N, latent_dim]
        return logits + (projected * self.embed(labels)).sum(1) / math.sqrt(projected.shape[1])  # Miyato and Koyama 2018, Eq. 4


def _widths(config: DcganNetworks, shape: tuple[int, int, int]) -> list[int]:
    """Return the channels after each halving of the picture."""
    return [min(config.width << level, config.max_width) for level in range(num_halvings(*shape[1:]))]


def _initialise(module: nn.Module) -> None:
    """Draw weights from N(0, 0.02), and scales of normalisation from N(1, 0.02), as section 3 of the paper does."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, GroupedBatchNorm):
        nn.init.normal_(module.weight, 1.0, 0.02)
