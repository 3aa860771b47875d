"""The extractor's network, its file, and the scores of real images with the weights that ship."""

import json

import pytest
import torch
from torch import Tensor

from ganray.errors import GanrayError
from ganray.evaluation.extractor_weights import shipped_weights
from ganray.metrics.feature_extractor import FeatureNetwork, extractor_hash, facts, load_extractor, save
from ganray.metrics.frechet import Moments, frechet_distance
from ganray.metrics.precision_recall import precision_recall
from tests.helpers.fashion import fashion


def random_images(seed: int, *shape: int) -> Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def extractor() -> FeatureNetwork:
    """The shipped extractor."""
    return load_extractor(shipped_weights("fashion-mnist"))


@pytest.mark.parametrize("shape", [(1, 16, 16), (3, 32, 32), (1, 32, 64), (3, 128, 128)])
def test_images_of_every_shape_become_128_features(shape: tuple[int, int, int]) -> None:
    network = FeatureNetwork(shape[0], 7, side=min(shape[1:])).eval()
    images = random_images(0, 2, *shape)
    assert network.features(images).shape == (2, 128)
    assert network.logits(images).shape == (2, 7)
    assert network.features(images).dtype == torch.float32


def test_a_saved_extractor_loads_with_its_features_and_facts() -> None:
    network = FeatureNetwork(3, 5, side=64).eval()
    network.body[1].running_mean.add_(0.5)
    data = save(network, {"kind": "rotation", "accuracy": 0.5})
    loaded, images = load_extractor(data), random_images(1, 4, 3, 64, 64)
    torch.testing.assert_close(loaded.features(images), network.features(images), rtol=0, atol=0)
    assert facts(data) == {"kind": "rotation", "accuracy": 0.5}
    assert not loaded.training
    assert not any(parameter.requires_grad for parameter in loaded.parameters())


def test_the_hash_names_the_weights_and_nothing_else() -> None:
    network = FeatureNetwork(1, 5)
    before = extractor_hash(save(network, {"accuracy": 0.5}))
    assert before == extractor_hash(save(network, {"accuracy": 0.6}))
    network.head.bias.data[0] += 1e-6
    assert before != extractor_hash(save(network, {"accuracy": 0.5}))


@pytest.mark.parametrize("damage", [b"", b"\x05\x00", b"hello" * 100])
def test_bytes_that_are_no_extractor_are_a_users_mistake(damage: bytes) -> None:
    with pytest.raises(GanrayError, match=r"evaluate\.extractor\.weights: not an extractor's file"):
        load_extractor(damage)


def test_a_truncated_file_and_one_of_another_format_are_a_users_mistake() -> None:
    data = save(FeatureNetwork(1, 5), {})
    with pytest.raises(GanrayError, match="not an extractor's file"):
        load_extractor(data[:-100])
    with pytest.raises(GanrayError, match="expected format 1, got 7"):
        load_extractor(data.replace(json.dumps({"format": 1})[1:-1].replace('"', '\\"').encode(), b'\\"format\\": 7'))


def test_no_weights_ship_under_an_unknown_name() -> None:
    with pytest.raises(GanrayError, match="no extractor 'fashion-mnists' comes with ganray; use auto or shipped:fashion-mnist"):
        shipped_weights("fashion-mnists")


def test_the_shipped_weights_are_small_and_say_how_they_were_made() -> None:
    data = shipped_weights("fashion-mnist")
    assert len(data) < 1_000_000
    how = facts(data)
    assert (how["kind"], how["seed"], len(how["classes"])) == ("classifier", 0, 10)
    assert how["accuracy"] > 0.9


def test_the_shipped_weights_recognise_images_that_they_were_not_fitted_to(extractor: FeatureNetwork) -> None:
    images, labels = fashion(0, 2000)
    recognised = torch.cat([extractor.logits(chunk).argmax(1) for chunk in images.split(100)]) == labels
    assert recognised.float().mean() > 0.9


def test_distance_grows_with_noise_and_with_missing_classes(extractor: FeatureNetwork) -> None:
    def features(images: Tensor) -> Tensor:
        return torch.cat([extractor.features(chunk) for chunk in images.split(100)])

    def noisy(images: Tensor, share: float) -> Tensor:
        noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0)) * share * 255
        return (images + noise).round().clamp(0, 255).to(torch.uint8)

    reference = Moments.of(features(fashion(0, 2000)[0]))
    images, labels = fashion(2000, 2000)
    real, slightly, clearly = (Moments.of(features(noisy(images, share))) for share in (0.0, 0.02, 0.05))
    clean = features(images)
    without_one, without_five = (Moments.of(clean[labels >= dropped]) for dropped in (1, 5))
    distances = [frechet_distance(moments, reference) for moments in (real, slightly, clearly)]
    assert distances == sorted(distances)
    assert distances[2] > 3 * distances[0]
    dropped = [frechet_distance(moments, reference) for moments in (real, without_one, without_five)]
    assert dropped == sorted(dropped)
    assert dropped[1] > 1.5 * dropped[0]


def test_noise_costs_precision_and_missing_classes_cost_recall(extractor: FeatureNetwork) -> None:
    images, labels = fashion(0, 2000)
    features = torch.cat([extractor.features(chunk) for chunk in images.split(100)])
    reals, fakes, fake_labels = features[:1000], features[1000:], labels[1000:]
    fair, half = precision_recall(reals, fakes, 5), precision_recall(reals, fakes[fake_labels >= 5], 5)
    blank = extractor.features(random_images(3, 100, 1, 32, 32))
    assert min(fair["precision"], fair["recall"]) > 0.6
    assert half["recall"] < fair["recall"] - 0.2
    assert precision_recall(reals, blank, 5)["precision"] < 0.1
