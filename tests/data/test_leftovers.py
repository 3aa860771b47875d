"""What a killed writer leaves beside shards, temporary files and parts of uploads, goes with the next preparation of the dataset."""

import os
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from ganray.config import Data, FolderSource
from ganray.data.card import Skipped
from ganray.data.dataset import CARD
from ganray.data.preparation.key import identify
from ganray.data.preparation.prepare import prepare
from ganray.data.sources import list_source
from ganray.data.sources.rows import Listing
from ganray.errors import DataError, StorageError
from ganray.modalities.image import encode_png
from ganray.storage import ObjectStore, open_store
from ganray.storage.files import TEMPORARY
from ganray.storage.leftovers import LIVE_S
from tests.helpers.cards import card
from tests.helpers.s3_server import S3Server
from tests.helpers.texts import WORDS


@pytest.fixture(params=["local", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    return open_store(request.getfixturevalue("bucket") if request.param == "s3" else tmp_path / "store")


@pytest.fixture
def server(request: pytest.FixtureRequest, store: ObjectStore) -> S3Server | None:
    return request.getfixturevalue("s3_server") if store.uri.startswith("s3://") else None


def leave(store: ObjectStore, server: S3Server | None, key: str) -> None:
    """Leave what a writer that is killed while it writes an object leaves."""
    if server is None:
        path = Path(store.root, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        (path.parent / f"{TEMPORARY}{path.name}").write_bytes(b"half of")
        return
    bucket, _, prefix = store.root.partition("/")
    address = {"Bucket": bucket, "Key": f"{prefix}/{key}"}
    upload = server.client().create_multipart_upload(**address)["UploadId"]
    server.client().upload_part(**address, UploadId=upload, PartNumber=1, Body=os.urandom(1 << 10))


def prepared(store: ObjectStore, folder: Path) -> tuple[Data, Listing]:
    """Return a source of one image, whose dataset is in a store already, so that no Ray is needed."""
    folder.mkdir()
    (folder / "a.png").write_bytes(encode_png(np.zeros((1, 8, 8), np.uint8)))
    data = Data(source=FolderSource(path=str(folder)))
    listing = list_source(data, store)
    store.write(f"{identify(data, listing).folder}/{CARD}", card().model_dump_json().encode())
    return data, listing


@pytest.mark.parametrize(("age_s", "is_removed"), [(LIVE_S - 600, False), (LIVE_S + 600, True)])
def test_preparing_again_removes_what_was_left_in_its_folder_and_nothing_else(
    store: ObjectStore, server: S3Server | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, age_s: float, is_removed: bool
) -> None:
    data, listing = prepared(store, tmp_path / "images")
    folder = identify(data, listing).folder
    others = [f"{folder}0/shard", f"{folder[:-1]}/shard", "models/m/0001/file"]
    for key in (f"{folder}/shard-0000000.parquet", f"{folder}/extractor", *others):
        leave(store, server, key)
    monkeypatch.setattr("ganray.storage.leftovers.time", SimpleNamespace(time=lambda: time.time() + age_s))
    prepare(data, listing, store)
    assert len(store.child(folder).leftovers()) == (0 if is_removed else 2)
    assert len(store.leftovers()) == (3 if is_removed else 5)
    assert [info.key for info in store.list()] == [f"{folder}/{CARD}"]


def test_what_may_not_be_looked_for_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise StorageError("storage", "access denied", "ask for rights")

    monkeypatch.setattr("ganray.storage.local.LocalStore.leftovers", refuse)
    store = open_store(tmp_path / "store")
    assert prepare(*prepared(store, tmp_path / "images"), store).card == card()


def test_samples_that_are_held_out_count_as_read_when_a_dataset_is_found_again(tmp_path: Path) -> None:
    store = open_store(tmp_path / "store")
    data, listing = prepared(store, tmp_path / "images")
    facts = {"modality": WORDS.to_json(), "settings": {}, "held_out": 100, "skipped": Skipped(count=10)}  # 10 of 1,000
    store.write(f"{identify(data, listing).folder}/{CARD}", card(890, **facts).model_dump_json().encode())
    assert prepare(data.model_copy(update={"max_bad_fraction": 0.01}), listing, store).card.held_out == 100
    with pytest.raises(DataError, match="10 of 1,000 samples could not be read"):
        prepare(data.model_copy(update={"max_bad_fraction": 0.009}), listing, store)
