"""Interpolation between two samples in the space of latents."""

import torch
from torch import Tensor

from ganray.gan.prior import Prior
from ganray.gan.sampling import with_settings

PARALLEL = 1e-6  # sine of an angle below which latents count as parallel


def interpolated_inputs(
    prior: Prior, *, seed: int, start: int, end: int, num: int, label: int | None = None, truncation: float | None = None
) -> tuple[Tensor, Tensor | None]:
    """Return latents [num, latent_dim] and labels [num] (or None) from sample `start` of a seed to sample `end`, both included.

    Latents are interpolated spherically, so that they stay as likely as samples of the prior. Where the two have different classes,
    the class changes halfway. `label` and `truncation` are as in `sample_chunk`. `num` is at least 2.
    """
    (first, first_label), (last, last_label) = (prior.sample(seed, "samples", index, 1) for index in (start, end))
    fractions = torch.linspace(0, 1, num, dtype=torch.float64)[:, None]
    latents = slerp(first.double(), last.double(), fractions).to(first.dtype)
    latents[0], latents[-1] = first[0], last[0]
    labels = None
    if first_label is not None and last_label is not None:
        labels = torch.where(fractions[:, 0] < 0.5, first_label, last_label)
    return with_settings(latents, labels, label=label, truncation=truncation)


def slerp(first: Tensor, last: Tensor, fractions: Tensor) -> Tensor:
    """Return the spherical linear interpolation [num, size] of two vectors [1, size] (Shoemake 1985), linear where they are parallel."""
    cosine = torch.nn.functional.cosine_similarity(first, last).clamp(-1, 1)
    angle = torch.acos(cosine)
    sine = torch.sin(angle)
    if sine < PARALLEL:
        return first + fractions * (last - first)
    return (torch.sin((1 - fractions) * angle) * first + torch.sin(fractions * angle) * last) / sine
