"""Batch normalisation over fixed groups of samples, so that its result does not depend on the number of workers.

Known as ghost batch normalisation (Hoffer et al. 2017). No running statistics are kept while training: what a generator
needs outside training is measured on its own weights when it is read (standing statistics, Brock et al. 2019, section 4.2).
"""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class GhostBatchNorm(nn.Module):
    """Normalise [N, C, H, W] over (group of samples, H, W) a channel; in eval mode by the standing statistics."""

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
        if not self.training:
            return F.batch_norm(features, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        if len(features) % self.group:
            raise ValueError(f"{len(features)} samples are no whole number of normalisation groups of {self.group}")
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


def with_group_deviation(features: Tensor, group: int) -> Tensor:
    """Return [N, C, H, W] with a channel more: how much features vary within each group of samples, on average over them.

    Minibatch standard deviation (Karras et al. 2018, section 3), over fixed groups as normalisation is.
    """
    groups = features.unflatten(0, (-1, group))  # [N / group, group, C, H, W]
    deviation = (groups.var(1, unbiased=False) + 1e-8).sqrt().mean((1, 2, 3))  # [N / group]
    spread = deviation.repeat_interleave(group).view(-1, 1, 1, 1).expand(-1, 1, *features.shape[2:])
    return torch.cat([features, spread.to(features.dtype)], dim=1)


@torch.no_grad()
def measure_standing_statistics(network: nn.Module, inputs: Iterable[tuple[Tensor | None, ...]]) -> None:
    """Set the statistics that eval mode uses to the mean, over the groups of `inputs`, of each group's own; end in eval mode.

    `inputs` are what the network is called with, a batch each.
    """
    layers = [module for module in network.modules() if isinstance(module, GhostBatchNorm)]
    network.train()
    for layer in layers:
        layer.observed = []
    for batch in inputs if layers else ():
        network(*batch)
    for layer in layers:
        means, variances = zip(*layer.observed, strict=True)
        layer.running_mean.copy_(torch.stack(means).mean(0))
        layer.running_var.copy_(torch.stack(variances).mean(0))
        layer.observed = None
    network.eval()
