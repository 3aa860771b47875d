"""Counter-based random streams: numbers by global index."""

import numpy as np
import torch

from ganray.gan.random_streams import RandomStream


def test_a_sample_has_the_same_numbers_in_any_range_of_indices() -> None:
    stream = RandomStream(5, "latents")
    whole = stream.normals(0, 40, 13)
    assert torch.equal(whole[7:23], stream.normals(7, 16, 13))
    assert torch.equal(whole[39:], stream.normals(39, 1, 13))


def test_seed_stream_and_attempt_all_make_streams_independent() -> None:
    base = RandomStream(5, "latents").normals(0, 4, 8)
    for other in (RandomStream(6, "latents"), RandomStream(5, "labels"), RandomStream(5, "latents", attempt=1)):
        assert not torch.equal(base, other.normals(0, 4, 8))


def test_normals_are_standard() -> None:
    normals = RandomStream(0, "x").normals(123, 4000, 64).numpy().astype(np.float64)
    assert abs(normals.mean()) < 0.01
    assert abs(normals.std() - 1) < 0.01
    assert abs((normals**4).mean() - 3) < 0.1
    correlation = np.corrcoef(normals.T) - np.eye(64)
    assert np.abs(correlation).max() < 0.08


def test_uniforms_fill_the_open_unit_interval() -> None:
    uniforms = RandomStream(0, "x").uniforms(0, 10_000, 9)
    assert 0 < uniforms.min() < 1e-4
    assert 1 - 1e-4 < uniforms.max() < 1
    assert abs(uniforms.mean() - 0.5) < 0.005
