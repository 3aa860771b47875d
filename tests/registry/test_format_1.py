"""What an earlier version published loads, is listed, moves and is traced as ever: a published version never changes.

`format_1/` is a storage that ganray 0.1.0 wrote: two versions of a conditional model and a grid of samples of the best.
"""

import shutil
from pathlib import Path

import pytest
import torch

from ganray.generation.provenance import provenance
from ganray.registry.alias import read_best, read_history
from ganray.registry.artifact import load_generator
from ganray.registry.promotion import promote_if_better, rollback
from ganray.registry.registry import Registry
from ganray.registry.verify import verify_model
from ganray.storage import open_store
from tests.helpers.artifacts import artifact, never

STORED = Path(__file__).parent / "format_1"
ROW = [-0.4302513003349304, -0.28122246265411377, 0.2978392541408539, -0.18181172013282776, 0.1096971184015274, -0.012966964393854141]


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    return Path(shutil.copytree(STORED, tmp_path / "store"))


def test_a_generator_makes_the_samples_that_it_made_then(storage: Path) -> None:
    generator = load_generator(str(storage / "models/old"))
    assert (generator.latent_dim, generator.num_classes, generator.classes) == (4, 2, ["cat", "dog"])
    samples = generator(torch.ones(1, 4), torch.tensor([1]))
    assert samples[0, 0, 8, :6].tolist() == pytest.approx(ROW, abs=1e-4)


def test_a_registry_goes_on_where_it_stood(storage: Path) -> None:
    registry = Registry(open_store(storage))
    assert verify_model(registry, "old") == {"0001": [], "0002": [], "best": []}
    assert [version.is_best for version in registry.versions("old")] == [False, True]
    model = registry.model("old")
    for score, is_better in ((3.0, False), (0.5, True)):
        number = registry.publish("old", artifact(score=score), {"images_seen": 1}, key=f"new {score}")
        assert promote_if_better(model, number, score, read_best(model).protocol, rescore=never) is is_better
    assert rollback(registry, "old", why="x").version == "0002"
    assert [event.to_version for event in read_history(model)] == ["0001", "0002", "0004", "0002"]


def test_a_grid_is_traced_to_its_version(storage: Path) -> None:
    facts = provenance(storage / "grid.png", storage=str(storage))
    assert (facts["model"], facts["version"], facts["seed"]) == ("old", "0002", 3)
    assert facts["largest_difference"] <= 1
