"""Losses and penalties: hand-computed values, closed forms, gradients."""

import math

import pytest
import torch
from torch import nn

from ganray.config import CosineWeight, Loss, Penalties
from ganray.gan.losses import discriminator_loss, generator_loss, is_relativistic
from ganray.gan.penalties import PenaltyWeights, interpolate, one_centred_penalty, penalty_weights, squared_gradients
from tests.helpers.cases import LOSSES

REAL, FAKE = torch.tensor([0.0, 2.0], dtype=torch.float64), torch.tensor([0.5, -1.0], dtype=torch.float64)


def soft(x: float) -> float:
    return math.log(1 + math.exp(x))


BY_HAND = {
    "non-saturating": ((soft(0) + soft(-2)) / 2 + (soft(0.5) + soft(-1)) / 2, (soft(-0.5) + soft(1)) / 2),
    "saturating": ((soft(0) + soft(-2)) / 2 + (soft(0.5) + soft(-1)) / 2, -(soft(0.5) + soft(-1)) / 2),
    "least-squares": ((1 + 1) / 4 + (0.25 + 1) / 4, (0.25 + 4) / 4),
    "hinge": ((1 + 0) / 2 + (1.5 + 0) / 2, -(0.5 - 1) / 2),
    "wasserstein": ((0.5 - 1) / 2 - (0 + 2) / 2, -(0.5 - 1) / 2),
    "relativistic": ((soft(0.5) + soft(-3)) / 2, (soft(-0.5) + soft(3)) / 2),
}


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.kind)
def test_losses_equal_hand_computed_values(loss: Loss) -> None:
    on_discriminator, on_generator = BY_HAND[loss.kind]
    assert discriminator_loss(loss, REAL, FAKE).item() == pytest.approx(on_discriminator, rel=1e-12)
    assert generator_loss(loss, REAL if is_relativistic(loss) else None, FAKE).item() == pytest.approx(on_generator, rel=1e-12)


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.kind)
def test_losses_have_right_gradients(loss: Loss) -> None:
    real, fake = (torch.randn(5, dtype=torch.float64, requires_grad=True) for _ in range(2))
    assert torch.autograd.gradcheck(lambda r, f: discriminator_loss(loss, r, f), (real, fake))
    assert torch.autograd.gradcheck(lambda f: generator_loss(loss, real.detach(), f), (fake,))


def test_gradients_of_a_linear_discriminator_are_its_weights() -> None:
    linear = nn.Linear(12, 1, dtype=torch.float64)
    images = torch.randn(5, 3, 2, 2, dtype=torch.float64, requires_grad=True)
    squared = squared_gradients(linear(images.flatten(1)).flatten(), images)
    assert torch.allclose(squared, linear.weight.square().sum().expand(5), rtol=1e-12)
    squared.mean().backward()
    assert torch.allclose(linear.weight.grad, 2 * linear.weight, rtol=1e-12)


def test_wgan_gp_of_a_linear_discriminator_is_the_squared_distance_of_its_norm_from_one() -> None:
    linear = nn.Linear(6, 1, dtype=torch.float64)
    images = torch.randn(4, 6, dtype=torch.float64, requires_grad=True)
    penalty = one_centred_penalty(squared_gradients(linear(images).flatten(), images)).mean()
    assert penalty.item() == pytest.approx((linear.weight.norm().item() - 1) ** 2, rel=1e-9)
    assert one_centred_penalty(torch.zeros(1, dtype=torch.float64)).item() == pytest.approx(1.0, abs=1e-5)


def test_penalties_have_right_gradients() -> None:
    weight = torch.randn(6, dtype=torch.float64, requires_grad=True)
    images = torch.randn(4, 6, dtype=torch.float64)

    def penalty(weight: torch.Tensor, of: str) -> torch.Tensor:
        points = images.clone().requires_grad_()
        squared = squared_gradients(torch.tanh(points @ weight) + (points @ weight).square(), points)
        return (squared if of == "r1" else one_centred_penalty(squared)).mean()

    assert torch.autograd.gradcheck(lambda w: penalty(w, "r1"), (weight,))
    assert torch.autograd.gradcheck(lambda w: penalty(w, "wgan-gp"), (weight,))


def test_interpolation_is_linear_in_its_uniforms() -> None:
    reals, fakes = torch.zeros(3, 1, 2, 2), torch.ones(3, 1, 2, 2)
    points = interpolate(reals, fakes, torch.tensor([0.0, 0.25, 1.0]))
    assert points[:, 0, 0, 0].tolist() == [0.0, 0.25, 1.0]


def test_lazy_penalties_follow_schedules_and_are_scaled_by_their_interval() -> None:
    penalties = Penalties(r1_gamma=CosineWeight(start=1.0, end=0.0, images=100), wgan_gp=10, every=4)
    assert penalty_weights(penalties, images_seen=50, step=8) == PenaltyWeights(r1=pytest.approx(1.0), r2=0.0, wgan_gp=40.0)
    assert penalty_weights(penalties, images_seen=100, step=4).r1 == 0.0
    assert penalty_weights(penalties, images_seen=50, step=9) == PenaltyWeights()
