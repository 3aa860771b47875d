"""Frechet distance against closed forms, SciPy and torchmetrics, and where covariances are singular."""

import math

import numpy as np
import pytest
import scipy.linalg
import torch
from torch import Tensor, nn

from ganray.metrics.frechet import Moments, frechet_distance


def rotation(size: int, seed: int) -> Tensor:
    """A random orthogonal matrix, float64."""
    return torch.linalg.qr(torch.randn(size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))).Q


def gaussian(mean: list[float], variances: list[float], axes: Tensor) -> Moments:
    """The moments of a Gaussian with some variances along some axes, the columns of a matrix."""
    return Moments(100, torch.tensor(mean).double(), axes @ torch.diag(torch.tensor(variances).double()) @ axes.T)


def features(seed: int, *, number: int = 500, size: int = 16, scale: float = 1.0, shift: float = 0.0) -> Tensor:
    """Features like a network's: correlated and not negative."""
    generator = torch.Generator().manual_seed(seed)
    mixed = torch.randn(number, size, generator=generator) @ torch.randn(size, size, generator=torch.Generator().manual_seed(99))
    return (mixed * scale + shift).relu()


@pytest.mark.parametrize("axes", [torch.eye(3, dtype=torch.float64), rotation(3, 0)])
def test_distance_is_the_closed_form_for_gaussians_with_shared_axes(axes: Tensor) -> None:
    a = gaussian([0.0, 1.0, 2.0], [1.0, 4.0, 9.0], axes)
    b = gaussian([1.0, 1.0, 0.0], [4.0, 4.0, 0.25], axes)
    # |0 - 1|^2 + |2 - 0|^2, and (1 - 2)^2 + (2 - 2)^2 + (3 - 0.5)^2 of the standard deviations
    assert frechet_distance(a, b) == pytest.approx(5 + 1 + 6.25, abs=1e-9)


def test_distance_of_gaussians_with_different_axes_is_scipys() -> None:
    a = gaussian([0.0] * 4, [1.0, 2.0, 3.0, 4.0], rotation(4, 1))
    b = gaussian([0.5] * 4, [5.0, 0.5, 1.0, 2.0], rotation(4, 2))
    root = scipy.linalg.sqrtm(a.covariance.numpy() @ b.covariance.numpy()).real
    expected = 4 * 0.25 + np.trace(a.covariance.numpy() + b.covariance.numpy() - 2 * root)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-9)


def test_distance_of_samples_with_exact_moments_is_the_closed_form() -> None:
    whitened = torch.linalg.qr(torch.cat([torch.ones(200, 1), features(0, number=200)], 1).double()).Q[:, 1:] * math.sqrt(199)
    stretched = whitened * 3 + 2
    # mean 0 and covariance 1 against mean 2 and covariance 9, in 16 dimensions
    assert frechet_distance(Moments.of(whitened), Moments.of(stretched)) == pytest.approx(16 * (4 + 4), rel=1e-9)


def test_distance_is_that_of_torchmetrics() -> None:
    from torchmetrics.image.fid import FrechetInceptionDistance

    class Identity(nn.Identity):
        num_features = 16

    reals, fakes = features(1), features(2, scale=1.3, shift=0.2)
    theirs = FrechetInceptionDistance(Identity(), input_img_size=(16,)).set_dtype(torch.float64)
    theirs.update(reals, real=True)
    theirs.update(fakes, real=False)
    assert frechet_distance(Moments.of(fakes), Moments.of(reals)) == pytest.approx(theirs.compute().item(), rel=1e-6)


def test_singular_covariances_give_a_finite_distance() -> None:
    few, others = features(3, number=5), features(4, number=7)
    assert 0 < frechet_distance(Moments.of(few), Moments.of(others)) < math.inf
    assert frechet_distance(Moments.of(few), Moments.of(few)) == pytest.approx(0, abs=1e-6)
    flat = gaussian([0.0, 0.0, 0.0], [1.0, 0.0, 0.0], rotation(3, 3))
    full = gaussian([0.0, 0.0, 0.0], [4.0, 9.0, 0.0], rotation(3, 3))
    assert frechet_distance(flat, full) == pytest.approx(1 + 9, abs=1e-6)


def test_features_that_are_not_finite_have_no_distance() -> None:
    broken = features(6)
    broken[3, 2] = math.inf
    assert math.isnan(frechet_distance(Moments.of(broken), Moments.of(features(7))))
