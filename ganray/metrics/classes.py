"""Class metrics by a classifier's predictions: coverage of the reals' classes, and accuracy of a conditional generator."""

import torch
from torch import Tensor


def class_coverage(real_classes: Tensor, fake_classes: Tensor, num_classes: int) -> float:
    """Return the mean over classes of min(1, frequency among fakes / frequency among reals), 0 to 1; a missing class costs 1/K.

    Both are predictions int64 [N] of one classifier, whose errors then count on both sides. Classes that it predicts for no real
    sample are left out.
    """
    frequencies = (torch.bincount(classes, minlength=num_classes) / len(classes) for classes in (real_classes, fake_classes))
    real_frequencies, fake_frequencies = frequencies
    present = real_frequencies > 0
    return (fake_frequencies[present] / real_frequencies[present]).clamp(max=1).mean().item()


def conditional_accuracy(labels: Tensor, fake_classes: Tensor) -> float:
    """Return the accuracy, 0 to 1, of predictions int64 [N] for generated samples against their labels int64 [N]."""
    return (labels.to(fake_classes.device) == fake_classes).float().mean().item()
