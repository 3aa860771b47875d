"""Interpolation: both ends are the samples, latents stay as long as the prior's, and classes change halfway."""

import torch

from ganray.gan.interpolation import interpolated_inputs, slerp
from ganray.gan.prior import Prior


def test_the_ends_are_the_samples_and_what_lies_between_is_as_long() -> None:
    prior = Prior(256)
    latents, labels = interpolated_inputs(prior, seed=3, start=5, end=90, num=9)
    assert labels is None
    assert torch.equal(latents[0], prior.sample(3, "samples", 5, 1)[0][0])
    assert torch.equal(latents[-1], prior.sample(3, "samples", 90, 1)[0][0])
    lengths = latents.norm(dim=1)
    assert lengths.min() > 0.95 * min(lengths[0], lengths[-1])


def test_classes_change_halfway_unless_one_is_given() -> None:
    prior = Prior(4, (0.5, 0.5))
    labels = prior.sample(0, "samples", 0, 50)[1]
    other = int((labels != labels[0]).nonzero()[0])
    _, between = interpolated_inputs(prior, seed=0, start=0, end=other, num=4)
    assert between.tolist() == [labels[0]] * 2 + [labels[other]] * 2
    assert interpolated_inputs(prior, seed=0, start=0, end=other, num=4, label=1)[1].tolist() == [1] * 4


def test_a_sample_with_itself_and_its_opposite_are_finite() -> None:
    vector, fractions = torch.randn(1, 8).double(), torch.linspace(0, 1, 5).double()[:, None]
    assert torch.allclose(slerp(vector, vector, fractions), vector.expand(5, 8))
    assert torch.isfinite(slerp(vector, -vector, fractions)).all()


def test_truncation_is_that_of_samples() -> None:
    assert interpolated_inputs(Prior(64), seed=0, start=0, end=1, num=5, truncation=0.3)[0].abs().max() <= 0.3
