"""Scoring a folder of images against a prepared dataset, without a generator."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from ganray.cli import group
from ganray.config import Data, FolderSource
from ganray.data.sources import list_source
from ganray.errors import DataError
from ganray.modalities.image import encode_png
from ganray.storage import open_store
from ganray.train.score_folder import open_dataset, score_folder, scoring_job, storage_of
from tests.helpers.cards import card
from tests.helpers.prepared import prepare
from tests.helpers.shards import FOLDER, write_numbered

NUM_IMAGES = 40
PNG = encode_png(np.zeros((1, 8, 8), np.uint8))


def write_images(folder: Path, *, seed: int, spread: float) -> Path:
    """Write grey gradients that are as different as `spread`, 0 to 1, says, with noise of their own."""
    numbers = np.random.default_rng(seed)
    folder.mkdir()
    slope = np.linspace(0, 120, 16)
    for index in range(NUM_IMAGES):
        pixels = slope[:, None] * numbers.uniform(1 - spread, 1) + slope * numbers.uniform(1 - spread, 1) + numbers.uniform(0, 9, (16, 16))
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{index}.png")
    return folder


@pytest.mark.cluster
@pytest.mark.usefixtures("ray_address")
def test_images_are_scored_as_generators_are(tmp_path: Path) -> None:
    reals = write_images(tmp_path / "reals", seed=0, spread=1.0)
    data = Data(source=FolderSource(path=str(reals)), resolution=16, channels=1)
    dataset = prepare(data, open_store(tmp_path / "store"))
    same = score_folder(str(reals), against=dataset.uri)
    assert (same.count, same.skipped) == (NUM_IMAGES, 0)
    assert same.scores["metric/frechet"] == pytest.approx(0, abs=1e-3)
    assert same.scores["metric/coverage"] == same.scores["metric/precision"] == same.scores["metric/recall"] == 1
    assert same.protocol["dataset"] == dataset.card.fingerprint
    assert same.protocol["num_samples"] == NUM_IMAGES
    alike = write_images(tmp_path / "alike", seed=1, spread=0.1)
    found = CliRunner().invoke(group, ["score", str(alike), "--against", dataset.uri, "--json"])
    assert found.exit_code == 0, found.output
    printed = json.loads(found.stdout)
    assert printed["protocol"] == same.protocol
    assert printed["scores"]["metric/frechet"] > 10 * same.scores["metric/frechet"]
    assert printed["scores"]["metric/diversity"] < 0.5
    table = CliRunner().invoke(group, ["score", str(alike), "--against", dataset.uri]).stdout.splitlines()
    assert table[0] == f"{NUM_IMAGES} images of {alike}"
    assert table[2].split() == ["frechet", f"{printed['scores']['metric/frechet']:.4g}", "less", "is", "better"]


def test_what_is_no_dataset_or_no_folder_is_one_line_before_ray_starts(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"--against: there is no prepared dataset in {tmp_path}/none; name the folder"):
        score_folder(str(tmp_path), against=f"{tmp_path}/none")
    dataset = write_numbered(open_store(tmp_path), count=10, rows_per_shard=10, shape=(1, 16, 16))
    dataset.storage.write(f"{FOLDER}/card.json", dataset.card.model_dump_json().encode())
    assert open_dataset(f"{tmp_path}/{FOLDER}/").card.count == 10
    with pytest.raises(DataError, match="none does not exist"):
        score_folder(f"{tmp_path}/none", against=f"{tmp_path}/{FOLDER}")


@pytest.mark.parametrize(
    ("folder", "images"),
    [
        ("store", ["mine.png"]),  # beside what ganray keeps there
        (".", ["mine.png", "runs/other.png", "store/mine.png"]),  # a folder that holds the storage, and one of the same name
        ("store/runs", ["r/samples/0.png"]),  # named, so meant
        ("store/runs/r/samples", ["0.png"]),
        ("store/models/m/0001", ["samples.png"]),
        ("linked", ["mine.png"]),
    ],
)
def test_of_a_folder_that_holds_the_storage_only_what_is_not_the_storages_is_scored(tmp_path: Path, folder: str, images: list[str]) -> None:
    store = open_store(tmp_path / "store")
    dataset = write_numbered(store, count=10, rows_per_shard=10, shape=(1, 16, 16))
    store.write(f"{FOLDER}/card.json", dataset.card.model_dump_json().encode())
    (tmp_path / "linked").symlink_to("store")
    for key in ("mine.png", "runs/r/samples/0.png", "models/m/0001/samples.png", "sweeps/s/trials/0/samples/1.png", "tensorboard/r/a.png"):
        store.write(key, PNG)
    for name in ("mine.png", "runs/other.png"):
        open_store(tmp_path).write(name, PNG)
    within = storage_of(open_dataset(f"{tmp_path}/store/{FOLDER}"))
    found = list_source(Data(source=FolderSource(path=str(tmp_path / folder), labels="none")), within)
    assert [image[0] for image in found.identity[2]] == images


@pytest.mark.parametrize(
    ("uri", "storage"),
    [
        ("store/datasets/x", "store"),
        ("copies/x", None),
        ("datasets", None),
    ],
)
def test_the_storage_is_that_of_the_dataset(tmp_path: Path, uri: str, storage: str | None) -> None:
    folder, name = (tmp_path / uri).parent, Path(uri).name
    open_store(folder).write(f"{name}/card.json", card().model_dump_json().encode())
    found = storage_of(open_dataset(str(tmp_path / uri)))
    assert (found and found.uri) == (storage and str(tmp_path / storage))


@pytest.mark.parametrize("folder", ["", "/runs/r/samples"])
def test_a_bucket_is_no_exception(bucket: str, folder: str) -> None:
    store = open_store(bucket)
    store.write("datasets/x/card.json", card().model_dump_json().encode())
    for key in ("mine.png", "runs/r/samples/0.png"):
        store.write(key, PNG)
    within = storage_of(open_dataset(f"{bucket}/datasets/x"))
    found = list_source(Data(source=FolderSource(path=f"{bucket}{folder}", labels="none")), within)
    assert [image[0] for image in found.identity[2]] == (["0.png"] if folder else ["mine.png"])


def test_neighbours_fit_the_images_that_are_scored(tmp_path: Path) -> None:
    dataset = write_numbered(open_store(tmp_path), count=10, rows_per_shard=10, shape=(1, 16, 16))
    assert [scoring_job(dataset, num_images=number).evaluate.neighbours for number in (2, 5, 100)] == [1, 4, 5]
    with pytest.raises(DataError, match="a single sample"):
        scoring_job(dataset, num_images=1)
