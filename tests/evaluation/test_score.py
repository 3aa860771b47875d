"""Scoring across workers, samples by index, and calibrated normalisation."""

from pathlib import Path

import pytest
import torch

from ganray.config import DcganNetworks, Networks, R3ganNetworks
from ganray.evaluation.score import Reference, compare, compare_classes, fake_features, is_broken
from ganray.gan.layouts import PixelLayout
from ganray.gan.networks import build_networks
from ganray.gan.networks.norm import GhostBatchNorm, measure_standing_statistics
from ganray.gan.prior import Prior
from ganray.gan.sampling import CHUNK, sample_chunk
from ganray.gan.state import calibrated_ema
from ganray.metrics.feature_extractor import FeatureNetwork
from ganray.metrics.frechet import Moments
from tests.helpers.gan_runs import NETWORKS, SHAPE, on_ranks, run_steps

PRIOR, LAYOUT = Prior(NETWORKS.latent_dim), PixelLayout(SHAPE)


class Brightness(torch.nn.Module):
    """An extractor whose features can be followed: the mean of each quarter of the image."""

    num_features = 4

    def features(self, images: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.adaptive_avg_pool2d(images.float(), 2).flatten(1)


def features_on_rank(*, rank: int, world_size: int, num_samples: int) -> torch.Tensor:
    """Return all samples' features, as rank sees them."""
    torch.set_num_threads(1)
    generator, _ = build_networks(NETWORKS, SHAPE, seed=1)
    return fake_features(generator.eval(), PRIOR, LAYOUT, Brightness(), num_samples=num_samples, seed=5)


def test_two_workers_evaluate_the_very_samples_that_one_does(tmp_path: Path) -> None:
    one = features_on_rank(rank=0, world_size=1, num_samples=300)
    assert one.shape == (300, 4)
    for two in on_ranks(2, tmp_path, features_on_rank, num_samples=300):
        assert torch.equal(one, two)


def test_three_workers_share_fewer_chunks_than_workers(tmp_path: Path) -> None:
    one = features_on_rank(rank=0, world_size=1, num_samples=100)
    for three in on_ranks(3, tmp_path, features_on_rank, num_samples=100):
        assert torch.equal(one, three)


def test_a_sample_depends_on_seed_and_index_alone() -> None:
    generator, _ = build_networks(NETWORKS, SHAPE, seed=1)
    measure_standing_statistics(generator, [(torch.randn(8, NETWORKS.latent_dim),)])
    first = sample_chunk(generator, PRIOR, LAYOUT, seed=0, chunk=3)
    assert first.shape == (CHUNK, *SHAPE)
    assert first.dtype == torch.uint8
    assert torch.equal(first, sample_chunk(generator, PRIOR, LAYOUT, seed=0, chunk=3))
    assert not torch.equal(first, sample_chunk(generator, PRIOR, LAYOUT, seed=1, chunk=3))


def test_normalisation_by_groups_equals_batch_norm_of_each_group() -> None:
    norm, plain = GhostBatchNorm(3, 4), torch.nn.BatchNorm2d(3)
    features = torch.randn(8, 3, 5, 5)
    expected = torch.cat([plain(features[:4]), plain(features[4:])])
    assert torch.allclose(norm(features), expected, atol=1e-6)


def test_standing_statistics_are_the_mean_of_the_groups() -> None:
    norm = GhostBatchNorm(2, 4)
    features = torch.randn(12, 2, 3, 3) * 3 + 1
    measure_standing_statistics(norm, [(features[:8],), (features[8:],)])
    groups = features.view(3, 4, 2, 9).transpose(1, 2).reshape(3, 2, 36)
    assert torch.allclose(norm.running_mean, groups.mean(2).mean(0), atol=1e-6)
    assert torch.allclose(norm.running_var, groups.var(2).mean(0), atol=1e-5)
    assert not norm.training


def test_calibration_leaves_the_state_as_it_is() -> None:
    state = run_steps(2)
    before = {name: tensor.clone() for name, tensor in state.generator_ema.state_dict().items()}
    generator = calibrated_ema(state, NETWORKS.ghost_batch, PRIOR, seed=0)
    assert all(torch.equal(before[name], tensor) for name, tensor in state.generator_ema.state_dict().items())
    statistics = [name for name in before if name.endswith("running_mean")]
    assert any(not torch.equal(before[name], generator.state_dict()[name]) for name in statistics)
    assert torch.equal(generator(torch.ones(2, 8))[0], calibrated_ema(state, NETWORKS.ghost_batch, PRIOR, seed=0)(torch.ones(2, 8))[0])


@pytest.mark.parametrize("num_classes", [0, 3])
@pytest.mark.parametrize("networks", [DcganNetworks(width=4, latent_dim=8, ghost_batch=2), R3ganNetworks(width=16, depth=1, latent_dim=8)])
def test_networks_fit_every_size_that_a_job_may_ask_for(networks: Networks, num_classes: int) -> None:
    for height, width, channels in ((16, 16, 1), (28, 28, 2), (32, 64, 3), (256, 256, 4), (64, 16, 1)):
        generator, discriminator = build_networks(networks, (channels, height, width), seed=0, num_classes=num_classes)
        labels = torch.tensor([0, 1, 2, 0]) if num_classes else None
        samples = generator(torch.randn(4, 8), labels)
        assert samples.shape == (4, channels, height, width)
        logits = discriminator(samples, labels)
        assert logits.shape == (4,)
        sure = generator.eval()(torch.randn(4, 8), labels)
        assert sure.abs().max() <= 1
        if num_classes:
            assert not torch.equal(logits, discriminator(samples, labels.flip(0)))


def test_what_cannot_be_the_best() -> None:
    generator, _ = build_networks(NETWORKS, SHAPE, seed=0)
    scores = {"metric/frechet": 3.0, "metric/diversity": 0.8}
    assert not is_broken(generator, scores)
    assert is_broken(generator, {**scores, "metric/diversity": 1e-6})
    assert is_broken(generator, {**scores, "metric/diversity": float("nan")})
    assert is_broken(generator, {**scores, "metric/frechet": float("nan")})
    with torch.no_grad():
        next(generator.parameters())[0] = float("nan")
    assert is_broken(generator, scores)


def test_scores_name_classes_where_the_extractor_does() -> None:
    torch.manual_seed(0)
    network = FeatureNetwork(1, 3)
    features = torch.randn(300, network.num_features)
    reference = Reference(Moments.of(features), features)
    scores = compare_classes(features, Prior(8), network, reference, seed=0)
    assert scores == {"metric/class_coverage": 1.0}
    conditional = compare_classes(features, Prior(8, (0.5, 0.5, 0.0)), network, reference, seed=0)
    assert 0 <= conditional["metric/conditional_accuracy"] <= 1
    assert compare(features, reference, neighbours=5)["metric/diversity"] == pytest.approx(1.0)
