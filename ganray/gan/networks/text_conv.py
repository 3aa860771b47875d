"""Short texts by convolution (the character model of Gulrajani et al. 2017, appendix C): tokens are one-hot for the discriminator, and the
generator's softmax over the vocabulary is its output, so that gradients pass without sampling.

Weights are initialised by fan-in, and each block's last convolution is zero (Fixup, Zhang et al. 2019), since nothing is normalised.
"""

import math
from typing import TypeVar

import torch.nn.functional as F
from torch import Tensor, nn

from ganray.config import TextConvNetworks
from ganray.gan.networks.labels import with_labels

Layer = TypeVar("Layer", nn.Conv1d, nn.Linear)

SLOPE = 0.2
GAIN = math.sqrt(2 / (1 + SLOPE**2))  # of a leaky ReLU (He et al. 2015)


class TextConvGenerator(nn.Module):
    """Maps latents [N, latent_dim], and labels [N] if conditional, to probabilities of tokens [N, V, L], which sum to 1 over V."""

    def __init__(self, config: TextConvNetworks, shape: tuple[int, int], num_classes: int) -> None:
        super().__init__()
        vocabulary, length = shape
        self.start = (config.width, length)
        self.embed = nn.Embedding(num_classes, config.latent_dim) if num_classes else None
        self.project = _scaled(nn.Linear(config.latent_dim * (2 if num_classes else 1), config.width * length), 1.0)
        self.blocks = nn.Sequential(*(ResidualBlock1d(config) for _ in range(config.depth)))
        self.decide = _scaled(nn.Conv1d(config.width, vocabulary, 1), 1.0)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return probabilities [N, V, L]."""
        features = self.project(with_labels(latents, labels, self.embed)).unflatten(1, self.start)  # [N, width, L]
        logits: Tensor = self.decide(F.leaky_relu(self.blocks(features), SLOPE))
        return logits.softmax(1)


class TextConvDiscriminator(nn.Module):
    """Maps one-hot tokens or probabilities [N, V, L], and labels [N] if conditional, to logits [N] of being real."""

    def __init__(self, config: TextConvNetworks, shape: tuple[int, int], num_classes: int) -> None:
        super().__init__()
        vocabulary, length = shape
        self.read = _scaled(nn.Conv1d(vocabulary, config.width, 1), math.sqrt(vocabulary))  # one token of all is not zero
        self.blocks = nn.Sequential(*(ResidualBlock1d(config) for _ in range(config.depth)))
        self.decide = _scaled(nn.Linear(config.width * length, 1), 1.0)
        self.embed = nn.Embedding(num_classes, config.width) if num_classes else None

    def forward(self, texts: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return logits [N]."""
        features = F.leaky_relu(self.blocks(self.read(texts)), SLOPE)  # [N, width, L]
        logits: Tensor = self.decide(features.flatten(1)).flatten()
        if self.embed is None:
            return logits
        projection: Tensor = (features.mean(2) * self.embed(labels)).sum(1)  # Eq. 4 of Miyato and Koyama 2018
        return logits + projection / math.sqrt(features.shape[1])


class ResidualBlock1d(nn.Module):
    """Residual block x + f(x): f is two convolutions along the text, each after a leaky ReLU."""

    def __init__(self, config: TextConvNetworks) -> None:
        super().__init__()
        self.first = _scaled(nn.Conv1d(config.width, config.width, config.kernel, padding=config.kernel // 2), GAIN)
        self.second = _scaled(nn.Conv1d(config.width, config.width, config.kernel, padding=config.kernel // 2), 0.0)

    def forward(self, features: Tensor) -> Tensor:
        """Return features of the same shape [N, width, L]."""
        residual: Tensor = self.second(F.leaky_relu(self.first(F.leaky_relu(features, SLOPE)), SLOPE))
        return features + residual


def _scaled(layer: Layer, gain: float) -> Layer:
    """Initialise a layer's weights from N(0, gain^2 / fan-in) and its biases with zero."""
    nn.init.normal_(layer.weight, 0.0, gain / math.sqrt(layer.weight[0].numel()))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
