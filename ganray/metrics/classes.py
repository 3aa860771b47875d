"""What a classifier says of samples: which classes appear among them, and whether they are what was asked for."""

import torch
from torch import Tensor


def class_coverage(real_classes: Tensor, fake_classes: Tensor, num_classes: int) -> float:
    """Return the mean over classes of min(1, share among fakes / share among reals), 0 to 1; a class that is missing costs 1/K.

    Both are int64 [N], as the same classifier names them, whose mistakes then count on both sides. Classes that it finds among no
    reals are left out.
    """
    real_shares, fake_shares = (torch.bincount(classes, minlength=num_classes) / len(classes) for classes in (real_classes, fake_classes))
    there = real_shares > 0
    return (fake_shares[there] / real_shares[there]).clamp(max=1).mean().item()


def conditional_accuracy(labels: Tensor, fake_classes: Tensor) -> float:
    """Return the share of samples that the classifier names as the class, int64 [N], that they were made for, 0 to 1."""
    return (labels.to(fake_classes.device) == fake_classes).float().mean().item()
