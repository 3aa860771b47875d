"""DCGAN (Radford et al. 2016): strided 4x4 convolutions, batch normalisation, ReLU and LeakyReLU."""

import itertools
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganray.config import DcganNetworks
from ganray.config.networks import num_halvings
from ganray.gan.networks.labels import with_labels
from ganray.gan.networks.memory import channels_last
from ganray.gan.networks.norm import GhostBatchNorm, with_minibatch_std
from ganray.gan.networks.strided import StridedConv2d, StridedConvTranspose2d


class DcganGenerator(nn.Module):
    """Maps latents [N, latent_dim], and labels [N] if conditional, to samples [N, C, H, W] in [-1, 1]."""

    def __init__(self, config: DcganNetworks, shape: tuple[int, int, int], num_classes: int) -> None:
        super().__init__()
        widths = _widths(config, shape)[::-1]  # innermost first
        self.innermost = (widths[0], shape[1] >> len(widths), shape[2] >> len(widths))
        self.embed = nn.Embedding(num_classes, config.latent_dim) if num_classes else None
        inputs = config.latent_dim * (2 if num_classes else 1)
        self.project = nn.Linear(inputs, math.prod(self.innermost), bias=False)
        self.project_norm = nn.Sequential(GhostBatchNorm(widths[0], config.ghost_batch), nn.ReLU(inplace=True))
        layers: list[nn.Module] = []
        for _ in range(config.depth - 1):
            layers += _generator_layer(nn.Conv2d(widths[0], widths[0], 3, 1, 1, bias=False), config)
        for inputs, outputs in itertools.pairwise(widths):
            layers += _generator_layer(StridedConvTranspose2d(inputs, outputs, bias=False), config)
            for _ in range(config.depth - 1):
                layers += _generator_layer(nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), config)
        self.upsample = nn.Sequential(*layers, StridedConvTranspose2d(widths[-1], shape[0]), nn.Tanh())
        self.apply(_initialise)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return samples [N, C, H, W] in [-1, 1]."""
        features = self.project(with_labels(latents, labels, self.embed))
        features = features.view(-1, *self.innermost).contiguous(memory_format=torch.channels_last)
        samples: Tensor = self.upsample(self.project_norm(features))
        return samples


class DcganDiscriminator(nn.Module):
    """Maps samples [N, C, H, W] in [-1, 1], and labels [N] if conditional, to logits [N] of being real."""

    def __init__(self, config: DcganNetworks, shape: tuple[int, int, int], num_classes: int) -> None:
        super().__init__()
        widths = _widths(config, shape)
        self.std_group = config.ghost_batch if config.minibatch_std else 0
        bias = config.discriminator_norm == "none"
        layers: list[nn.Module] = [StridedConv2d(shape[0], widths[0]), nn.LeakyReLU(0.2, inplace=True)]
        for level, outputs in enumerate(widths):
            if level:
                layers += _discriminator_layer(StridedConv2d(widths[level - 1], outputs, bias=bias), config)
            for _ in range(config.depth - 1):
                layers += _discriminator_layer(nn.Conv2d(outputs, outputs, 3, 1, 1, bias=bias), config)
        self.downsample = nn.Sequential(*layers)
        innermost = (shape[1] >> len(widths), shape[2] >> len(widths))
        features = widths[-1] + config.minibatch_std
        self.decide = nn.Conv2d(features, 1, innermost)
        self.embed = nn.Embedding(num_classes, features * math.prod(innermost)) if num_classes else None
        self.apply(_initialise)
        if self.embed is not None:
            nn.init.normal_(self.embed.weight, 0.0, 0.02)  # as `decide`, to which each class adds its projection

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return logits [N]."""
        features = self.downsample(channels_last(images))
        if self.std_group:
            features = with_minibatch_std(features, self.std_group)
        logits = full_map_convolution(self.decide, features).flatten()
        if self.embed is None:
            return logits
        projection: Tensor = (features.flatten(1) * self.embed(labels)).sum(1)  # Eq. 4 of Miyato and Koyama 2018
        return logits + projection


def full_map_convolution(layer: nn.Conv2d, features: Tensor) -> Tensor:
    """Apply a convolution whose kernel covers the maps [N, C, H, W] as a linear layer, which is faster; returns [N, outputs]."""
    return F.linear(features.permute(0, 2, 3, 1).flatten(1), layer.weight.permute(0, 2, 3, 1).flatten(1), layer.bias)


def _generator_layer(layer: nn.Conv2d | nn.ConvTranspose2d, config: DcganNetworks) -> list[nn.Module]:
    """Return a convolution of the generator, its normalisation and activation."""
    return [layer, GhostBatchNorm(layer.out_channels, config.ghost_batch), nn.ReLU(inplace=True)]


def _discriminator_layer(layer: nn.Conv2d, config: DcganNetworks) -> list[nn.Module]:
    """Return a convolution of the discriminator, its normalisation if any, and activation."""
    norm = [GhostBatchNorm(layer.out_channels, config.ghost_batch)] if config.discriminator_norm == "batch" else []
    return [layer, *norm, nn.LeakyReLU(0.2, inplace=True)]


def _widths(config: DcganNetworks, shape: tuple[int, int, int]) -> list[int]:
    """Return the channels after each halving of the image."""
    return [min(config.width << level, config.max_width) for level in range(num_halvings(*shape[1:]))]


def _initialise(module: nn.Module) -> None:
    """Initialise weights from N(0, 0.02) and scales of normalisation from N(1, 0.02) (section 3 of the paper)."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, GhostBatchNorm):
        nn.init.normal_(module.weight, 1.0, 0.02)
