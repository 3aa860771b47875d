"""Publishing versions, moving the best pointer, loading what was published, and refusing what is not whole."""

import json
from pathlib import Path

import pytest
import torch

from ganray.errors import GanrayError
from ganray.gan.networks import build_networks
from ganray.registry.alias import read_best
from ganray.registry.artifact import load_generator
from ganray.registry.manifest import CONFIG, GENERATOR, METRICS
from ganray.registry.promotion import promote_if_better
from ganray.registry.registry import Registry
from ganray.storage import open_store
from tests.helpers.artifacts import NETWORKS, PROTOCOL, SHAPE, artifact, never


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(open_store(tmp_path))


def test_a_published_generator_loads_as_it_was(registry: Registry) -> None:
    number = registry.publish("m", artifact(seed=4), {"images_seen": 1}, key="a")
    generator = load_generator(f"{registry.storage.uri}/models/m/{number}")
    original, _ = build_networks(NETWORKS, SHAPE, seed=4)
    latents = torch.randn(5, generator.latent_dim)
    assert torch.equal(generator(latents), original.eval()(latents))
    assert not generator.training
    assert (generator.latent_dim, generator.num_classes) == (8, 0)


def test_versions_count_up_and_a_key_is_published_once(registry: Registry) -> None:
    numbers = [registry.publish("m", artifact(), {"images_seen": 1}, key=key) for key in ("a", "b", "a", "c")]
    assert numbers == ["0001", "0002", "0001", "0003"]
    assert [version.version for version in registry.versions("m")] == ["0001", "0002", "0003"]


def test_a_publication_that_was_interrupted_is_finished_and_was_not_visible(registry: Registry, tmp_path: Path) -> None:
    registry.publish("m", artifact(), {"images_seen": 1}, key="a")
    registry.publish("m", artifact(), {"images_seen": 2}, key="b")
    (tmp_path / "models/m/0002/manifest.json").unlink()
    assert [version.version for version in registry.versions("m")] == ["0001"]
    assert registry.publish("m", artifact(), {"images_seen": 2}, key="b") == "0002"
    assert [version.version for version in registry.versions("m")] == ["0001", "0002"]


def test_best_moves_only_to_a_better_score(registry: Registry) -> None:
    model = registry.model("m")
    for score, moves in ((5.0, True), (6.0, False), (4.0, True), (4.0, False)):
        number = registry.publish("m", artifact(score=score), {"images_seen": 1}, key=f"{score} {moves}")
        assert promote_if_better(model, number, score, PROTOCOL, rescore=never) is moves
    assert read_best(model).version == "0003"
    assert [version.is_best for version in registry.versions("m")] == [False, False, True, False]


def test_an_incumbent_of_another_protocol_is_scored_again_first(registry: Registry) -> None:
    model, other = registry.model("m"), PROTOCOL.model_copy(update={"num_samples": 20})
    first = registry.publish("m", artifact(score=5.0), {"images_seen": 1}, key="a")
    promote_if_better(model, first, 5.0, PROTOCOL, rescore=never)
    second = registry.publish("m", artifact(score=4.0), {"images_seen": 1}, key="b")
    assert not promote_if_better(model, second, 4.0, other, rescore={first: 3.0}.get)
    assert not promote_if_better(model, second, 4.0, other, rescore={first: None}.get)
    assert promote_if_better(model, second, 4.0, other, rescore={first: 4.5}.get)
    assert read_best(model).protocol == other


def test_a_models_folder_loads_its_best(registry: Registry) -> None:
    for seed, score in ((1, 2.0), (2, 1.0), (3, 9.0)):
        number = registry.publish("m", artifact(seed, score), {"images_seen": 1}, key=str(seed))
        promote_if_better(registry.model("m"), number, score, PROTOCOL, rescore=never)
    best = load_generator(registry.model("m").uri)
    expected, _ = build_networks(NETWORKS, SHAPE, seed=2)
    latents = torch.randn(3, 8)
    assert torch.equal(best(latents), expected.eval()(latents))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[:-10], "bytes, and"),
        (lambda data: data[:-10] + bytes(10), "does not have the published SHA-256"),
        (None, "is missing"),
    ],
)
def test_an_artifact_that_is_not_what_was_published_is_refused(registry: Registry, tmp_path: Path, damage: object, message: str) -> None:
    registry.publish("m", artifact(), {"images_seen": 1}, key="a")
    weights = tmp_path / "models/m/0001" / GENERATOR
    weights.write_bytes(damage(weights.read_bytes())) if damage else weights.unlink()
    with pytest.raises(GanrayError, match=message) as raised:
        load_generator(str(weights.parent))
    assert GENERATOR in raised.value.field


def test_a_folder_without_a_valid_artifact_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GanrayError, match="holds no published generator"):
        load_generator(str(tmp_path))
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(GanrayError, match="is broken"):
        load_generator(str(tmp_path))


def test_a_manifest_names_size_and_hash_of_every_file(registry: Registry, tmp_path: Path) -> None:
    registry.publish("m", artifact(), {"images_seen": 77}, key="a")
    manifest = json.loads((tmp_path / "models/m/0001/manifest.json").read_bytes())
    assert set(manifest["files"]) == {GENERATOR, CONFIG, METRICS}
    for name, entry in manifest["files"].items():
        assert entry["size"] == (tmp_path / "models/m/0001" / name).stat().st_size
    assert manifest["lineage"] == {"images_seen": 77, "model": "m", "version": "0001"}
