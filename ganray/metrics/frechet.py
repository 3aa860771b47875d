"""Frechet distance between two sets of features, each taken as a Gaussian (Heusel et al. 2017, Eq. 6)."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor


@dataclass(frozen=True)
class Moments:
    """Count, mean [D] and covariance [D, D] of features, in float64."""

    count: int
    mean: Tensor
    covariance: Tensor

    @classmethod
    def of(cls, features: Tensor) -> Self:
        """Return the moments of features [N, D]."""
        features = features.double()
        return cls(len(features), features.mean(0), features.T.cov())


def frechet_distance(a: Moments, b: Moments) -> float:
    """Return the squared distance |m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)), at least 0; NaN where moments are not finite.

    The trace of the root is the sum of the roots of the eigenvalues of C_a^(1/2) C_b C_a^(1/2), which is symmetric, so
    singular covariances are fine.
    """
    a, b = (Moments(m.count, m.mean.cpu(), m.covariance.cpu()) for m in (a, b))
    if not all(part.isfinite().all() for part in (a.mean, a.covariance, b.mean, b.covariance)):
        return float("nan")
    root = _symmetric_root(a.covariance)
    eigenvalues = torch.linalg.eigvalsh(root @ b.covariance @ root)
    trace_of_root = eigenvalues.clamp(min=0).sqrt().sum()
    distance = (a.mean - b.mean).square().sum() + a.covariance.trace() + b.covariance.trace() - 2 * trace_of_root
    return float(distance.clamp(min=0))


def _symmetric_root(matrix: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    root: Tensor = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    return root
