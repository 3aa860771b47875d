"""Ghost batch normalisation (Hoffer et al. 2017): over fixed groups of samples, so that results do not depend on the number of workers.

No running statistics are kept while training: eval mode uses standing statistics, measured with the final weights (Brock et
al. 2019, section 4.2).
"""

from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class GhostBatchNorm(nn.Module):
    """Normalise [N, C, H, W] over (ghost batch, H, W) for each channel; in eval mode by the standing statistics."""

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, group: int, *, eps: float = 1e-5) -> None:
        super().__init__()
        self.group, self.eps = group, eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.observed: list[tuple[Tensor, Tensor]] | None = None

    def forward(self, features: Tensor) -> Tensor:
        """Return normalised features. Raises ValueError in training mode unless N is a multiple of the ghost batch size."""
        if not self.training:
            return F.batch_norm(features, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        if len(features) % self.group:
            raise ValueError(f"expected a multiple of the ghost batch size {self.group}, got {len(features)} samples")
        if len(features) == self.group:
            return self._normalise(features)
        return torch.cat([self._normalise(group) for group in features.split(self.group)])

    def _normalise(self, group: Tensor) -> Tensor:
        if self.observed is None:
            return F.batch_norm(group, None, None, self.weight, self.bias, training=True, eps=self.eps)
        mean, var = torch.zeros_like(self.running_mean), torch.zeros_like(self.running_var)
        normalised = F.batch_norm(group, mean, var, self.weight, self.bias, training=True, momentum=1.0, eps=self.eps)
        self.observed.append((mean, var))
        return normalised


def with_minibatch_std(features: Tensor, group: int) -> Tensor:
    """Return [N, C, H, W] with one more channel: the minibatch standard deviation (Karras et al. 2018, section 3) of each group."""
    groups = features.unflatten(0, (-1, group))  # [N / group, group, C, H, W]
    deviation = (groups.var(1, unbiased=False) + 1e-8).sqrt().mean((1, 2, 3))  # [N / group]
    spread = deviation.repeat_interleave(group).view(-1, 1, 1, 1).expand(-1, 1, *features.shape[2:])
    return torch.cat([features, spread.to(features.dtype)], dim=1)


@torch.no_grad()
def measure_standing_statistics(network: nn.Module, inputs: Iterable[tuple[Any, ...]]) -> None:
    """Set the statistics of eval mode to the mean of those of all ghost batches in `inputs`, and switch to eval mode.

    `inputs` are the network's arguments, one tuple of tensors a batch.
    """
    layers = [module for module in network.modules() if isinstance(module, GhostBatchNorm)]
    network.train()
    for layer in layers:
        layer.observed = []
    for batch in inputs if layers else ():
        network(*batch)
    for layer in layers:
        means, variances = zip(*(layer.observed or ()), strict=True)
        layer.running_mean.copy_(torch.stack(means).mean(0))
        layer.running_var.copy_(torch.stack(variances).mean(0))
        layer.observed = None
    network.eval()
