"""Spectral normalisation (Miyato et al. 2018), with one explicit power iteration a step, however often the network runs."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

INITIAL_ITERATIONS = 15


class SpectralNorm(nn.Module):
    """Divides a weight [out, ...] by its largest singular value; `left` and `right` are estimates of the singular vectors."""

    left: Tensor
    right: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        matrix = weight.detach().flatten(1)
        self.register_buffer("left", F.normalize(torch.randn(matrix.shape[0]), dim=0))
        self.register_buffer("right", F.normalize(torch.randn(matrix.shape[1]), dim=0))
        for _ in range(INITIAL_ITERATIONS):
            self.iterate(weight)

    def forward(self, weight: Tensor) -> Tensor:
        """Return the normalised weight."""
        largest = (weight.flatten(1) * self.left[:, None] * self.right).sum()  # not a matmul: autocast would round it
        return weight / largest

    @torch.no_grad()
    def iterate(self, weight: Tensor) -> None:
        """Do one power iteration."""
        matrix = weight.flatten(1)
        self.right.copy_(F.normalize(matrix.T @ self.left, dim=0))
        self.left.copy_(F.normalize(matrix @ self.right, dim=0))


def add_spectral_norm(network: nn.Module) -> None:
    """Normalise the weight of every convolution, linear layer and embedding of a network."""
    for module in network.modules():
        if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Linear | nn.Embedding):
            if not module.weight.any():  # a residual block that starts as the identity: zero has no singular direction
                nn.init.kaiming_normal_(module.weight)
            parametrize.register_parametrization(module, "weight", SpectralNorm(module.weight))


def iterate_spectral_norm(network: nn.Module) -> None:
    """Do one power iteration for every weight of a network. Equal weights give equal estimates on every rank."""
    for module in network.modules():
        if isinstance(module, parametrize.ParametrizationList):
            for norm in module:
                if isinstance(norm, SpectralNorm):
                    norm.iterate(module.original)
