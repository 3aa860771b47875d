"""A source that changed since it was prepared is mentioned, by a resume and by a new run, and one that did not is not."""

import logging
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from ganray.config import Data, FolderSource, ParquetSource, Source
from ganray.data.card import DatasetCard, Skipped
from ganray.data.dataset import CARD, PreparedDataset
from ganray.data.preparation.changes import warn_of_change, warn_of_earlier
from ganray.data.preparation.key import dataset_key, identify
from ganray.data.sources import list_source
from ganray.storage import ObjectStore


def prepared(data: Data, storage: ObjectStore) -> PreparedDataset:
    """What a preparation of the source as it is would leave, without shards."""
    listing, facts = list_source(data, storage), {"classes": None, "class_counts": None, "licence": None}
    card = DatasetCard(
        **{"name": "x", "key": dataset_key(data, listing), "fingerprint": "0", "count": 30, "filter": data.filter, "skipped": Skipped()},
        **dict(zip(("channels", "height", "width"), data.shape, strict=True)),
        **{"source": data.source.model_dump(mode="json"), "rows_per_shard": 1, "shards": [], "created_by": {}, **facts},
    )
    folder = identify(data, listing).folder
    storage.write(f"{folder}/{CARD}", card.model_dump_json().encode())
    return PreparedDataset(storage, folder, card)


@pytest.fixture(params=["folder", "parquet"])
def source(request: pytest.FixtureRequest, image_folder: Path, tmp_path: Path) -> Source:
    if request.param == "folder":
        return FolderSource(path=str(image_folder))
    (tmp_path / "tables").mkdir()
    pq.write_table(pa.table({"image": [b"x"] * 30}), tmp_path / "tables" / "images.parquet")
    return ParquetSource(path=str(tmp_path / "tables"))


def change(source: Source, how: str) -> None:
    """Change a source's files, and nothing of their names and sizes if they are touched."""
    file = next(path for path in sorted(Path(source.path).rglob("*.*")) if path.is_file())
    if how == "added":
        file.with_stem("another").write_bytes(file.read_bytes())
    elif how == "replaced":
        Image.new("L", (3, 3), 9).save(file) if file.suffix == ".png" else pq.write_table(pa.table({"image": [b"y"]}), file)
    elif how == "touched":
        os.utime(file, (1, 1))


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


@pytest.mark.parametrize("how", ["added", "replaced", "touched", "not at all"])
def test_a_resume_says_that_its_source_has_changed(
    how: str, source: Source, storage: ObjectStore, caplog: pytest.LogCaptureFixture
) -> None:
    data = Data(source=source)
    dataset = prepared(data, storage)
    change(source, how)
    warn_of_change(data, dataset)
    found = warnings(caplog)
    assert len(found) == (how != "not at all")
    for line in found:
        assert line.startswith(f"{source.path} has changed since {dataset.folder} was prepared: this goes on with the 30 images of then")


def test_a_resume_whose_source_is_gone_says_nothing(image_folder: Path, storage: ObjectStore, caplog: pytest.LogCaptureFixture) -> None:
    data = Data(source=FolderSource(path=str(image_folder)))
    dataset = prepared(data, storage)
    image_folder.rename(image_folder.with_name("elsewhere"))
    warn_of_change(data, dataset)
    assert warnings(caplog) == []


@pytest.mark.parametrize("how", ["added", "replaced", "not at all"])
def test_a_new_run_says_that_its_source_has_changed_since_an_earlier_one(
    how: str, source: Source, storage: ObjectStore, caplog: pytest.LogCaptureFixture
) -> None:
    data = Data(source=source)
    earlier = prepared(data, storage)
    change(source, how)
    storage.write(f"{earlier.folder[:-12]}damaged/{CARD}", b"{")
    warn_of_earlier(data, identify(data, list_source(Data(source=source), storage)).folder, storage)
    expected = [f"{source.path} has changed since {earlier.folder} was prepared, of 30 images: it is prepared anew"]
    assert warnings(caplog) == ([] if how == "not at all" else expected)


@pytest.mark.parametrize("settings", [{"resolution": 8}, {"channels": 1}, {"filter": "box"}, {"bit_depth": 12}, {"background": "black"}])
def test_another_preparation_of_the_same_source_is_no_change(
    settings: dict[str, Any], source: Source, storage: ObjectStore, caplog: pytest.LogCaptureFixture
) -> None:
    prepared(Data(source=source), storage)
    data = Data(source=source, **settings)
    warn_of_earlier(data, identify(data, list_source(Data(source=source), storage)).folder, storage)
    assert warnings(caplog) == []


def test_a_run_whose_colours_were_not_weighted_by_alpha_has_the_source_that_it_had(
    source: Source, storage: ObjectStore, caplog: pytest.LogCaptureFixture
) -> None:
    data = Data(source=source, channels=4)
    dataset = prepared(data, storage)
    warn_of_change(data, replace(dataset, card=dataset.card.model_copy(update={"key": "as it was"})))
    assert warnings(caplog) == []
