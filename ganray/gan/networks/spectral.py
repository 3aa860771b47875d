"""Spectral normalisation (Miyato et al. 2018). Its power iteration runs when told to: once a step, however often the network runs."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

FIRST_ITERATIONS = 15


class SpectralNorm(nn.Module):
    """Divides a weight [out, ...] by its largest singular value, of which `left` and `right` estimate the singular vectors."""

    left: Tensor
    right: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        matrix = weight.detach().flatten(1)
        self.register_buffer("left", F.normalize(torch.randn(matrix.shape[0]), dim=0))
        self.register_buffer("right", F.normalize(torch.randn(matrix.shape[1]), dim=0))
        for _ in range(FIRST_ITERATIONS):
            self.iterate(weight)

    def forward(self, weight: Tensor) -> Tensor:
        largest = (weight.flatten(1) * self.left[:, None] * self.right).sum()  # not a matmul: autocast would round it
        return weight / largest

    @torch.no_grad()
    def iterate(self, weight: Tensor) -> None:
        """Take one step of the power iteration."""
        matrix = weight.flatten(1)
        self.right.copy_(F.normalize(matrix.T @ self.left, dim=0))
        self.left.copy_(F.normalize(matrix @ self.right, dim=0))


def add_spectral_norm(network: nn.Module) -> None:
    """Normalise the weight of every convolution, linear layer and embedding of a network."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear | nn.Embedding):
            if not module.weight.any():  # a block that starts as the identity: zero has no direction
                nn.init.kaiming_normal_(module.weight)
            parametrize.register_parametrization(module, "weight", SpectralNorm(module.weight))


def iterate_spectral_norm(network: nn.Module) -> None:
    """Take one step of every power iteration in a network. Equal weights give equal estimates on every rank."""
    for module in network.modules():
        if parametrize.is_parametrized(module, "weight"):
            for norm in module.parametrizations.weight:
                norm.iterate(module.parametrizations.weight.original)
