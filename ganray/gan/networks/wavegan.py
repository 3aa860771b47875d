"""WaveGAN (Donahue et al. 2019): one-dimensional convolutions of 25 taps and stride 4 on waves, with phase shuffle."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganray.config import WaveganNetworks
from ganray.config.networks.wave import num_quarterings
from ganray.gan.networks.labels import with_labels

KERNEL, STRIDE, PADDING = 25, 4, 11  # taps; the transposed convolution pads one more sample at the end
SLOPE = 0.2


class WaveganGenerator(nn.Module):
    """Maps latents [N, latent_dim], and labels [N] if conditional, to waves [N, C, samples] in [-1, 1]."""

    def __init__(self, config: WaveganNetworks, shape: tuple[int, int], num_classes: int) -> None:
        super().__init__()
        channels, self.samples = shape
        widths = _widths(config, self.samples)[::-1]  # innermost first
        self.innermost = (widths[0], _innermost(self.samples))
        self.embed = nn.Embedding(num_classes, config.latent_dim) if num_classes else None
        self.project = nn.Linear(config.latent_dim * (2 if num_classes else 1), math.prod(self.innermost))
        outputs = [*widths[1:], channels]
        self.upsample = nn.ModuleList(
            nn.ConvTranspose1d(inputs, width, KERNEL, STRIDE, PADDING, output_padding=1)
            for inputs, width in zip(widths, outputs, strict=True)
        )
        self.apply(_initialise)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return waves [N, C, samples] in [-1, 1]."""
        features = self.project(with_labels(latents, labels, self.embed)).view(-1, *self.innermost)
        for layer in self.upsample:
            features = layer(F.relu(features))
        return torch.tanh(features[:, :, : self.samples])  # the length that quartering rounded up, cut again


class WaveganDiscriminator(nn.Module):
    """Maps waves [N, C, samples] in [-1, 1], and labels [N] if conditional, to logits [N] of being real.

    With `phases` [N, num_phases] in (0, 1), the maps of every layer but the last are shifted at random by them (phase shuffle).
    """

    def __init__(self, config: WaveganNetworks, shape: tuple[int, int], num_classes: int) -> None:
        super().__init__()
        channels, samples = shape
        widths = _widths(config, samples)
        self.reach = config.phase_shuffle
        innermost = _innermost(samples)
        self.padding = innermost * STRIDE ** len(widths) - samples
        inputs = [channels, *widths[:-1]]
        self.downsample = nn.ModuleList(
            nn.Conv1d(width, outputs, KERNEL, STRIDE, PADDING) for width, outputs in zip(inputs, widths, strict=True)
        )
        self.decide = nn.Linear(widths[-1] * innermost, 1)
        self.embed = nn.Embedding(num_classes, widths[-1] * innermost) if num_classes else None
        self.apply(_initialise)
        if self.embed is not None:
            nn.init.normal_(self.embed.weight, 0.0, 0.5 / math.sqrt(self.decide.in_features))

    def forward(self, waves: Tensor, labels: Tensor | None = None, phases: Tensor | None = None) -> Tensor:
        """Return logits [N]."""
        features = F.pad(waves, (0, self.padding))
        for level, layer in enumerate(self.downsample):
            features = F.leaky_relu(layer(features), SLOPE)
            if phases is not None and level < len(self.downsample) - 1:
                features = shuffle_phase(features, phases[:, level], self.reach)
        flat = features.flatten(1)
        logits: Tensor = self.decide(flat).flatten()
        if self.embed is None:
            return logits
        projection: Tensor = (flat * self.embed(labels)).sum(1)  # Eq. 4 of Miyato and Koyama 2018
        return logits + projection


def shuffle_phase(features: Tensor, uniforms: Tensor, reach: int) -> Tensor:
    """Return maps [N, C, L], each shifted by -reach to reach as `uniforms` [N] in (0, 1) say, the ends reflected (section 3.3)."""
    length = features.shape[2]
    shifts = (uniforms * (2 * reach + 1)).long().clamp(0, 2 * reach) - reach  # [N]
    places = (torch.arange(length, device=features.device) - shifts[:, None]).abs()  # [N, L]
    places = length - 1 - (length - 1 - places).abs()
    return features.gather(2, places[:, None].expand_as(features))


def _widths(config: WaveganNetworks, samples: int) -> list[int]:
    """Return the channels after each quartering of the wave."""
    return [min(config.width << level, config.max_width) for level in range(num_quarterings(samples))]


def _innermost(samples: int) -> int:
    """Return the length of the innermost maps, rounded up."""
    length: int = -(-samples // STRIDE ** num_quarterings(samples))
    return length


def _initialise(module: nn.Module) -> None:
    """Initialise weights from U(-a, a) of the variance 1 / fan-in that Glorot and Bengio (2010) give, and biases with zero."""
    if isinstance(module, nn.Conv1d | nn.ConvTranspose1d | nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
