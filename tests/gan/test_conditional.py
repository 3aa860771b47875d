"""Conditional generators: labels distributed as in the dataset, classes by name, and their provenance."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ganray import Registry, load_generator
from ganray.errors import GanrayError
from ganray.gan.prior import Prior
from ganray.generation.batch import generate
from ganray.generation.provenance import provenance
from ganray.storage import open_store
from tests.helpers.artifacts import artifact, publish


@pytest.fixture
def model(tmp_path: Path) -> str:
    """A model with one conditional version."""
    registry = Registry(open_store(tmp_path / "store"))
    registry.publish("m", artifact(seed=1, contrast=8.0, classes=["cat", "dog"]), {"images_seen": 1}, key="a")
    return f"{registry.storage.uri}/models/m/0001"


def pixels(folder: Path) -> list[np.ndarray]:
    return [np.asarray(Image.open(path)) for path in sorted(folder.iterdir())]


def test_labels_are_as_frequent_as_in_the_data_and_depend_on_the_index_alone() -> None:
    prior = Prior(4, (0.2, 0.0, 0.8))
    latents, labels = prior.sample(3, "samples", 0, 4000)
    assert (torch.bincount(labels, minlength=3) / 4000).tolist() == pytest.approx([0.2, 0.0, 0.8], abs=0.02)
    again, labels_again = prior.sample(3, "samples", 1000, 10)
    assert torch.equal(latents[1000:1010], again)
    assert torch.equal(labels[1000:1010], labels_again)
    assert Prior(4).sample(3, "samples", 0, 8)[1] is None


def test_a_conditional_generator_loads_and_takes_labels(model: str) -> None:
    generator = load_generator(model)
    assert (generator.num_classes, generator.classes) == (2, ["cat", "dog"])
    latents = torch.randn(4, generator.latent_dim)
    cats, dogs = (generator(latents, torch.full((4,), label)) for label in (0, 1))
    assert cats.shape == (4, 1, 16, 16)
    assert not torch.equal(cats, dogs)


def test_a_conditional_generator_asks_for_the_labels_it_was_not_given(model: str) -> None:
    generator = load_generator(model)
    with pytest.raises(ValueError, match="labels \\[N\\], integers from 0 to 1"):
        generator(torch.zeros(2, generator.latent_dim))


def test_a_class_is_asked_for_by_name_or_number_and_traced(model: str, tmp_path: Path) -> None:
    for name, label in (("by-name", "dog"), ("by-number", "1"), ("cats", "cat"), ("any", None)):
        generate(model, num=8, seed=0, out=tmp_path / name, label=label, local=True)
    dogs, same, cats, anything = (pixels(tmp_path / name) for name in ("by-name", "by-number", "cats", "any"))
    assert all(np.array_equal(a, b) for a, b in zip(dogs, same, strict=True))
    assert not any(np.array_equal(a, b) for a, b in zip(dogs, cats, strict=True))
    assert all(any(np.array_equal(sample, of) for of in pair) for sample, pair in zip(anything, zip(dogs, cats, strict=True), strict=True))
    facts = provenance(tmp_path / "by-name/000003.png", storage=str(tmp_path / "store"))
    assert (facts["label"], facts["index"], facts["largest_difference"]) == (1, 3, 0)


@pytest.mark.parametrize(("label", "says"), [("bird", "there is no class 'bird'; use one of cat, dog"), ("2", "there is no class '2'")])
def test_an_unknown_class_costs_one_line(model: str, tmp_path: Path, label: str, says: str) -> None:
    with pytest.raises(GanrayError, match=says):
        generate(model, num=1, seed=0, out=tmp_path / "x", label=label, local=True)
    assert not (tmp_path / "x").exists()


def test_a_class_of_an_unconditional_generator_costs_one_line(tmp_path: Path) -> None:
    registry = Registry(open_store(tmp_path / "store"))
    publish(registry, 1.0)
    with pytest.raises(GanrayError, match="--class: this generator is not conditional"):
        generate(f"{registry.storage.uri}/models/m", num=1, seed=0, out=tmp_path / "x", label="0", local=True)
