"""Inputs of generators, and the truncation trick."""

import math

import pytest
import torch

from ganray.gan.prior import Prior, truncate


@pytest.mark.parametrize("threshold", [0.01, 0.3, 1.0, 2.0, 8.0])
def test_truncated_latents_have_the_truncated_normal_distribution(threshold: float) -> None:
    latents, _ = Prior(8).sample(0, "samples", 0, 20_000)
    truncated = truncate(latents, threshold)
    assert truncated.dtype == latents.dtype
    assert truncated.abs().max() <= threshold
    inside = math.erf(threshold / math.sqrt(2))
    variance = 1 - 2 * threshold * math.exp(-(threshold**2) / 2) / math.sqrt(2 * math.pi) / inside  # of the normal within +- threshold
    assert truncated.double().square().mean().item() == pytest.approx(variance, rel=0.02)


def test_truncation_keeps_the_order_of_latents_and_far_away_the_latents_themselves() -> None:
    latents, _ = Prior(1).sample(0, "samples", 0, 1000)
    order = latents[:, 0].argsort()
    assert (truncate(latents, 0.5)[order, 0].diff() >= 0).all()
    assert torch.allclose(truncate(latents, 30.0), latents, atol=1e-6)
