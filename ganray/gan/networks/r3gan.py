"""R3GAN (Huang et al. 2024): residual blocks of grouped convolutions, no normalisation, resampling by [1, 2, 1].

The paper's configuration for small images, scaled by width and depth. Initialisation as in section 4 and appendix B: by
fan-in, residual blocks times L^(-1/4) for L blocks, and a block's last convolution zero (Fixup, Zhang et al. 2019).
"""

import math
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganray.config import R3ganNetworks
from ganray.config.networks import num_halvings
from ganray.gan.networks.labels import with_labels
from ganray.gan.networks.memory import channels_last

Layer = TypeVar("Layer", nn.Conv2d, nn.Linear)

SLOPE = 0.2
GAIN = math.sqrt(2 / (1 + SLOPE**2))  # of a leaky ReLU (He et al. 2015)
MAX_FULL_SIDE = 32  # pixels: stages beyond it have half the channels for each doubling


class R3ganGenerator(nn.Module):
    """Maps latents [N, latent_dim], and labels [N] if conditional, to samples [N, C, H, W]; in eval mode clamped to [-1, 1]."""

    def __init__(self, config: R3ganNetworks, shape: tuple[int, int, int], num_classes: int) -> None:
        super().__init__()
        widths = _widths(config, shape)[::-1]  # innermost first
        scale = (config.depth * len(widths)) ** -0.25
        inputs = config.latent_dim * (2 if num_classes else 1)
        self.embed = nn.Embedding(num_classes, config.latent_dim) if num_classes else None
        self.basis = nn.Parameter(torch.randn(widths[0], *_innermost(shape)))
        self.project = _scaled(nn.Linear(inputs, widths[0], bias=False), 1.0)
        layers: list[nn.Module] = []
        for level, width in enumerate(widths):
            if level:
                layers.append(Upsample(widths[level - 1], width))
            layers += [ResidualBlock(config, width, scale) for _ in range(config.depth)]
        self.upsample = nn.Sequential(*layers, _scaled(nn.Conv2d(widths[-1], shape[0], 1, bias=False), 1.0))

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return samples [N, C, H, W]; unclamped in training mode, so that gradients reach what exceeds [-1, 1]."""
        features = self.basis * self.project(with_labels(latents, labels, self.embed))[:, :, None, None]  # [N, C, h, w]
        samples: Tensor = self.upsample(features.contiguous(memory_format=torch.channels_last))
        return samples if self.training else samples.clamp(-1, 1)


class R3ganDiscriminator(nn.Module):
    """Maps samples [N, C, H, W] in [-1, 1], and labels [N] if conditional, to logits [N] of being real."""

    def __init__(self, config: R3ganNetworks, shape: tuple[int, int, int], num_classes: int) -> None:
        super().__init__()
        widths = _widths(config, shape)
        scale = (config.depth * len(widths)) ** -0.25
        layers: list[nn.Module] = [_scaled(nn.Conv2d(shape[0], widths[0], 1, bias=False), 1.0)]
        for level, width in enumerate(widths):
            layers += [ResidualBlock(config, width, scale) for _ in range(config.depth)]
            if level + 1 < len(widths):
                layers.append(Downsample(width, widths[level + 1]))
        self.downsample = nn.Sequential(*layers)
        self.basis = _scaled(nn.Conv2d(widths[-1], widths[-1], _innermost(shape), groups=widths[-1], bias=False), 1.0)
        outputs = config.latent_dim if num_classes else 1
        self.decide = _scaled(nn.Linear(widths[-1], outputs, bias=False), 1.0)
        self.embed = nn.Embedding(num_classes, outputs) if num_classes else None

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return logits [N]."""
        features: Tensor = self.decide(self.basis(self.downsample(channels_last(images))).flatten(1))
        if self.embed is None:
            return features.flatten()
        projection: Tensor = (features * self.embed(labels)).sum(1)  # Eq. 4 of Miyato and Koyama 2018
        return projection / math.sqrt(features.shape[1])


class ResidualBlock(nn.Module):
    """Residual block x + f(x): f is a 1x1, a grouped 3x3 and a 1x1 convolution, with biased leaky ReLUs between (figure 4 of the paper)."""

    def __init__(self, config: R3ganNetworks, width: int, scale: float) -> None:
        super().__init__()
        wide = width * config.expansion
        groups = max(1, wide // config.group_width)
        self.widen = _scaled(nn.Conv2d(width, wide, 1), GAIN * scale)
        self.mix = _scaled(nn.Conv2d(wide, wide, 3, padding=1, groups=groups), GAIN * scale)
        self.narrow = _scaled(nn.Conv2d(wide, width, 1, bias=False), 0.0)

    def forward(self, features: Tensor) -> Tensor:
        """Return features of the same shape [N, C, H, W]."""
        inner = F.leaky_relu(self.widen(features), SLOPE)
        residual: Tensor = self.narrow(F.leaky_relu(self.mix(inner), SLOPE))
        return features + residual


class Upsample(nn.Module):
    """Interpolates to twice the sides with [1, 2, 1] / 2, after a 1x1 convolution where the number of channels changes."""

    kernel: Tensor

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.convert = _convert(inputs, outputs)
        self.register_buffer("kernel", _kernel(outputs) * 4, persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """Return [N, outputs, 2 H, 2 W]."""
        features = self.convert(features)
        kernel = self.kernel.to(features.dtype)
        return F.conv_transpose2d(features, kernel, stride=2, padding=1, output_padding=1, groups=len(kernel))


class Downsample(nn.Module):
    """Low-pass filters with [1, 2, 1] / 4 to half the sides, before a 1x1 convolution where the number of channels changes."""

    kernel: Tensor

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.convert = _convert(inputs, outputs)
        self.register_buffer("kernel", _kernel(inputs), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """Return [N, outputs, H / 2, W / 2]."""
        kernel = self.kernel.to(features.dtype)
        halved: Tensor = self.convert(F.conv2d(features, kernel, stride=2, padding=1, groups=len(kernel)))
        return halved


def _widths(config: R3ganNetworks, shape: tuple[int, int, int]) -> list[int]:
    """Return the channels at each resolution, from the image's own down to the innermost."""
    sides = [min(shape[1:]) >> level for level in range(num_halvings(*shape[1:]) + 1)]
    halvings = [max(0, (side // MAX_FULL_SIDE).bit_length() - 1) for side in sides]
    unit = math.lcm(config.group_width, config.expansion) // config.expansion  # channels that groups divide
    return [max(unit, (config.width >> halving) // unit * unit) if halving else config.width for halving in halvings]


def _innermost(shape: tuple[int, int, int]) -> tuple[int, int]:
    halvings = num_halvings(*shape[1:])
    return shape[1] >> halvings, shape[2] >> halvings


def _convert(inputs: int, outputs: int) -> nn.Module:
    return nn.Identity() if inputs == outputs else _scaled(nn.Conv2d(inputs, outputs, 1, bias=False), 1.0)


def _kernel(channels: int) -> Tensor:
    """Return [1, 2, 1] in both directions, of sum 1, for each channel: [C, 1, 3, 3]."""
    line = torch.tensor([1.0, 2.0, 1.0])
    return (torch.outer(line, line) / 16).expand(channels, 1, 3, 3).clone()


def _scaled(layer: Layer, gain: float) -> Layer:
    """Initialise a layer's weights from N(0, gain^2 / fan-in) and its biases with zero."""
    fan_in = layer.weight[0].numel()
    nn.init.normal_(layer.weight, 0.0, gain / math.sqrt(fan_in))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
