"""Kernel distance (KID, Binkowski et al. 2018) between two sets of features: unbiased, however few samples there are."""

import torch
from torch import Tensor

BLOCK = 1000  # features a block: memory stays flat, and the cost grows with the number of features


def kernel_distance(reals: Tensor, fakes: Tensor) -> float:
    """Return the mean over blocks of features [N, D] and [M, D] of the unbiased estimate of MMD^2; around 0 for equal distributions.

    The kernel is (x y / D + 1)^3 (section 4 of the paper). A last, smaller block is left out.
    """
    size = min(BLOCK, len(reals), len(fakes))
    blocks = min(len(reals), len(fakes)) // size
    pairs = zip(reals.split(size)[:blocks], fakes.split(size)[:blocks], strict=True)
    return torch.stack([_squared_discrepancy(real.double(), fake.double()) for real, fake in pairs]).mean().item()


def _squared_discrepancy(a: Tensor, b: Tensor) -> Tensor:
    """Return the unbiased estimate of MMD^2 between equally many features [n, D] (Gretton et al. 2012, Eq. 3)."""
    number = len(a)
    within = sum((kernel.sum() - kernel.diagonal().sum()) for kernel in (_kernel(a, a), _kernel(b, b)))
    return within / (number * (number - 1)) - 2 * _kernel(a, b).mean()


def _kernel(a: Tensor, b: Tensor) -> Tensor:
    return (a @ b.T / a.shape[1] + 1) ** 3
