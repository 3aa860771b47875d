"""Adversarial losses of logits [N], each the mean over the batch, and the negative log-likelihood of texts.

Papers and equations: the loss kinds in `ganray.config`.
"""

import torch.nn.functional as F
from torch import Tensor

from ganray.config import HingeLoss, LeastSquaresLoss, Loss, NonSaturatingLoss, RelativisticLoss, SaturatingLoss, WassersteinLoss
from ganray.gan.layouts.one_hot import END


def discriminator_loss(loss: Loss, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Return the discriminator's loss, without penalties."""
    match loss:
        case NonSaturatingLoss() | SaturatingLoss():
            return F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()
        case LeastSquaresLoss():
            return ((real_logits - 1).square().mean() + fake_logits.square().mean()) / 2
        case HingeLoss():
            return F.relu(1 - real_logits).mean() + F.relu(1 + fake_logits).mean()
        case WassersteinLoss():
            return fake_logits.mean() - real_logits.mean()
        case RelativisticLoss():
            return F.softplus(fake_logits - real_logits).mean()


def generator_loss(loss: Loss, real_logits: Tensor | None, fake_logits: Tensor) -> Tensor:
    """Return the generator's loss. `real_logits`, without gradient, are needed by relativistic losses only."""
    match loss:
        case NonSaturatingLoss():
            return F.softplus(-fake_logits).mean()
        case SaturatingLoss():
            return -F.softplus(fake_logits).mean()
        case LeastSquaresLoss():
            return (fake_logits - 1).square().mean() / 2
        case HingeLoss() | WassersteinLoss():
            return -fake_logits.mean()
        case RelativisticLoss():
            assert real_logits is not None, "a relativistic loss pairs each fake with a real"
            return F.softplus(real_logits - fake_logits).mean()


def is_relativistic(loss: Loss) -> bool:
    """Return whether the generator's loss compares each fake with a real."""
    return isinstance(loss, RelativisticLoss)


def negative_log_likelihood(log_probabilities: Tensor, texts: Tensor) -> Tensor:
    """Return the mean over texts [N, V, L], one-hot, of the negative log-likelihood of their tokens up to the first end, in nats.

    `log_probabilities` [N, V, L] are those of every token after the ones before it.
    """
    ends = texts[:, END]  # [N, L]
    is_written = ends.cumsum(1) - ends == 0
    return -((texts * log_probabilities).sum(1) * is_written).sum(1).mean()
