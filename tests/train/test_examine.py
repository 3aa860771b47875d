"""A dry run looks at the data: counts, classes, what is missing, and how it would be scored; it writes nothing."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganray.config import Job, check_job
from ganray.data.card import DatasetCard
from ganray.data.dataset import PreparedDataset
from ganray.errors import GanrayError
from ganray.storage import open_store
from ganray.train import examine as module
from ganray.train.examine import examine
from tests.helpers.cards import card

FASHION = "10,000 samples, 10 classes (T-shirt/top, Trouser, Pullover, Dress, Coat, ...), to be prepared"


def write_images(folder: Path, **counts: int) -> Path:
    """Write so many images into each class's folder; `root` is the folder itself."""
    for name, count in counts.items():
        inside = folder if name == "root" else folder / name
        inside.mkdir(parents=True, exist_ok=True)
        for index in range(count):
            Image.fromarray(np.full((16, 16), index, np.uint8)).save(inside / f"{index}.png")
    return folder


def job(tmp_path: Path, source: dict[str, object], **sections: object) -> Job:
    data = {"source": source, "resolution": 16, "channels": 1}
    return check_job({"storage": str(tmp_path / "store"), "data": data, **sections})


def folder_of(tmp_path: Path, **counts: int) -> dict[str, object]:
    return {"kind": "folder", "path": str(write_images(tmp_path / "images", **counts))}


@pytest.mark.parametrize(
    ("counts", "samples", "extractor"),
    [
        ({"cat": 3, "dog": 2}, "5 samples, 2 classes (cat, dog), to be prepared", "classifier, to be fitted before the first evaluation"),
        ({"root": 4}, "4 samples, no classes, to be prepared", "rotation, to be fitted before the first evaluation"),
        ({"cat": 3}, "3 samples, no classes, to be prepared", "rotation, to be fitted before the first evaluation"),
    ],
)
def test_a_folder_is_listed(counts: dict[str, int], samples: str, extractor: str, tmp_path: Path) -> None:
    assert examine(job(tmp_path, folder_of(tmp_path, **counts))) == {"real samples": samples, "extractor": extractor}
    assert not (tmp_path / "store").exists()


def test_files_that_are_no_images_are_counted_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = folder_of(tmp_path, root=4)
    (tmp_path / "images/notes.txt").write_text("x")
    assert examine(job(tmp_path, source))["real samples"] == "4 samples, no classes, 1 file left out, to be prepared"
    assert "1 file left out: notes.txt (no image by extension)" in caplog.text


def test_bundled_data_is_known_with_its_extractor(tmp_path: Path) -> None:
    found = examine(job(tmp_path, {"kind": "fashion-mnist", "split": "test"}))
    assert found == {"real samples": FASHION, "extractor": "classifier, ready"}


@pytest.mark.parametrize(
    ("counts", "sections", "says"),
    [
        ({}, {}, "data.source.path: the folder .*images does not exist"),
        ({"root": 0}, {}, "data.source.path: there are no images in"),
        ({"root": 4}, {"networks": {"conditional": True}}, "networks.conditional: the samples of images have no label; use false"),
        ({"root": 4}, {"evaluate": {"extractor": {"kind": "classifier"}}}, "evaluate.extractor.kind: a classifier needs two classes"),
    ],
)
def test_what_is_missing_is_said_as_a_training_would(
    counts: dict[str, int], sections: dict[str, object], says: str, tmp_path: Path
) -> None:
    with pytest.raises(GanrayError, match=says):
        examine(job(tmp_path, folder_of(tmp_path, **counts), **sections))


@pytest.mark.parametrize(
    ("dataset", "samples"),
    [
        (card(1200, duplicates=7), "1,200 samples, 7 of them repeats, no classes, prepared"),
        (card(5, classes=["cat", "dog"], class_counts=[2, 3]), "5 samples, 2 classes (cat, dog), prepared"),
    ],
)
def test_prepared_data_is_told_by_its_card(dataset: DatasetCard, samples: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = PreparedDataset(open_store(tmp_path / "store"), "datasets/x", dataset)
    monkeypatch.setattr(module, "find_dataset", lambda storage, folder: prepared)
    found = examine(job(tmp_path, folder_of(tmp_path, root=4)))
    assert found["real samples"] == samples
    assert found["extractor"].endswith("to be fitted before the first evaluation")


def test_prepared_data_that_nothing_can_be_learned_from_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = PreparedDataset(open_store(tmp_path / "store"), "datasets/x", card(50, duplicates=49))
    monkeypatch.setattr(module, "find_dataset", lambda storage, folder: prepared)
    with pytest.raises(GanrayError, match="all 50 samples of x are equal"):
        examine(job(tmp_path, folder_of(tmp_path, root=4)))
