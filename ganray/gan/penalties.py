"""Gradient penalties of the discriminator (R1, R2, WGAN-GP) and their weights at a step (lazy regularisation)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ganray.config import Penalties
from ganray.config.schedules import value_at

NORM_EPS = 1e-12  # under the square root, whose slope at zero is infinite


@dataclass(frozen=True)
class PenaltyWeights:
    """The weight of each penalty in one step's loss; 0: it is not computed."""

    r1: float = 0.0
    r2: float = 0.0
    wgan_gp: float = 0.0


def penalty_weights(penalties: Penalties, *, images_seen: int, step: int) -> PenaltyWeights:
    """Return the weights at a step, counted from 0: lazily, on one of `every` steps and `every` times as large (Karras et al. 2020)."""
    if step % penalties.every:
        return PenaltyWeights()
    r1, r2, wgan_gp = (
        value_at(weight, images_seen) * penalties.every for weight in (penalties.r1_gamma, penalties.r2_gamma, penalties.wgan_gp)
    )
    return PenaltyWeights(r1 / 2, r2 / 2, wgan_gp)


def squared_gradients(logits: Tensor, images: Tensor) -> Tensor:
    """Return the squared gradient norm |grad D(x)|^2 of each sample, [N].

    `images` [N, ...] must require gradients and lead to `logits` [N]. The mean over reals is R1 without gamma/2 (Eq. 9 of
    Mescheder et al. 2018), over fakes R2 (Eq. 10).
    """
    (gradients,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return gradients.to(torch.promote_types(gradients.dtype, torch.float32)).square().flatten(1).sum(1)


def one_centred_penalty(squared: Tensor) -> Tensor:
    """Return the one-centred penalty (|grad D(x)| - 1)^2 (Eq. 3 of Gulrajani et al. 2017) of squared gradient norms [N]."""
    return ((squared + NORM_EPS).sqrt() - 1).square()


def interpolate(real_images: Tensor, fake_images: Tensor, uniforms: Tensor) -> Tensor:
    """Return a linear interpolation between each real and its fake, by `uniforms` [N] in (0, 1) (section 4 of Gulrajani et al. 2017)."""
    weight = uniforms.to(real_images.dtype).view(-1, *[1] * (real_images.ndim - 1))
    return torch.lerp(real_images, fake_images, weight)
