"""`ganray directions` on small published generators."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from ganray.errors import ConfigError, DataError
from ganray.evaluation.extractor_weights import shipped_weights
from ganray.generation.directions import SHEET, STEPS, Classifier, find_classifier, measure_effects, write_directions
from ganray.metrics.feature_extractor import extractor_hash, load_extractor, save
from ganray.registry.artifact import build
from ganray.registry.manifest import METRICS
from ganray.registry.registry import Registry
from tests.helpers.artifacts import PROTOCOL, artifact, publish


@pytest.fixture
def model(tmp_path: Path) -> str:
    """The folder of a model with one version."""
    publish(Registry.open(str(tmp_path / "store")), 1.0)
    return str(tmp_path / "store/models/m")


def test_directions_are_written_with_a_sheet_of_samples_along_them(model: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    facts = write_directions(model, num=3, samples=2, out=out, extractor="shipped:fashion-mnist")
    assert json.loads((out / "directions.json").read_text()) == facts
    gains = [entry["gain"] for entry in facts["directions"]]
    assert gains == sorted(gains, reverse=True)
    for entry in facts["directions"]:
        assert len(entry["vector"]) == 8
        assert sum(entry["effects"].values()) == pytest.approx(0, abs=1e-5)  # what classes gain, others lose
        assert any(entry["effects"].values())
    sheet = Image.open(out / SHEET)
    strip_height = 2 * (16 * 4 + 2) + 2
    assert sheet.size == (STEPS * (16 * 4 + 2) + 2 + 8, 3 * (strip_height + 21))


def test_the_classifier_is_the_one_that_the_version_was_scored_by_where_it_ships() -> None:
    used = PROTOCOL.dump() | {"extractor": extractor_hash(shipped_weights("fashion-mnist"))}
    found = find_classifier({METRICS: json.dumps({"scores": {}, "protocol": used}).encode()}, None)
    assert found is not None
    assert len(found.classes) == 10
    assert find_classifier({METRICS: json.dumps({"scores": {}, "protocol": PROTOCOL.dump()}).encode()}, None) is None


def test_effects_are_those_of_moving_samples(model: str) -> None:
    classifier = Classifier(load_extractor(shipped_weights("fashion-mnist")), [str(number) for number in range(10)])
    generator = build(artifact(contrast=8.0))
    assert set(measure_effects(generator, torch.zeros(8), 3.0, classifier).values()) == {0.0}


def test_mistakes_are_one_line(model: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--num: expected 1 to 8, the size of a latent vector, got 9"):
        write_directions(model, num=9, out=tmp_path / "out")
    with pytest.raises(DataError, match=r"--extractor: there is no file .*/none\.safetensors"):
        write_directions(model, num=1, out=tmp_path / "out", extractor=str(tmp_path / "none.safetensors"))
    rotations = tmp_path / "rotation.safetensors"
    rotations.write_bytes(save(load_extractor(shipped_weights("fashion-mnist")), {"kind": "rotation"}))
    with pytest.raises(DataError, match="was not fitted to tell classes apart"):
        write_directions(model, num=1, out=tmp_path / "out", extractor=str(rotations))
    assert not (tmp_path / "out").exists()
