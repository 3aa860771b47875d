"""Preparing against faults: kills, failures at every write, races, and leftovers, on a real local Ray."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import ray
from PIL import Image

from ganray.cluster.session import ray_session
from ganray.config import Data, FolderSource
from ganray.errors import GanrayError
from ganray.storage import ObjectInfo, ObjectStore
from tests.helpers.prepared import keys_of, prepare, prepared_earlier, read_back

pytestmark = pytest.mark.cluster

PREPARE_SLOWLY = """
import ray, sys
from ganray.config import Data, FolderSource
from tests.helpers.prepared import prepare
from ganray.storage import open_store

ray.init(address=sys.argv[1], log_to_driver=False)
prepare(Data(source=FolderSource(path=sys.argv[2]), resolution=512), open_store(sys.argv[3]))
"""


@pytest.fixture(scope="module", autouse=True)
def _ray() -> Iterator[None]:
    with ray_session("local"):
        yield


def test_a_killed_attempt_leaves_nothing_that_looks_like_a_dataset(storage: ObjectStore, tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for index in range(600):
        Image.new("L", (8, 8), index % 256).save(folder / f"{index:03d}.png")
    address = ray.get_runtime_context().gcs_address
    process = subprocess.Popen([sys.executable, "-c", PREPARE_SLOWLY, address, str(folder), storage.uri], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while not keys_of(storage) and time.monotonic() < deadline:
            time.sleep(0.05)
    finally:
        process.kill()
        process.wait()
    left = keys_of(storage)
    assert left
    assert not [key for key in left if key.endswith("card.json")]
    data = Data(source=FolderSource(path=str(folder)), resolution=512)
    assert prepared_earlier(data, storage) is None
    prepared = prepare(data, storage)
    assert read_back(prepared)[0][:, 0, 0, 0].tolist() == [index % 256 for index in range(600)]
    assert left <= keys_of(storage) == {*prepared.shard_keys(), f"{prepared.folder}/card.json"}


@dataclass(frozen=True)
class WatchedStore:
    """A store that notes every write in a file, and fails from write number `fails_at` on, whatever process writes."""

    inner: ObjectStore
    notes: Path
    fails_at: int | None = None
    waits: Path | None = None  # a file that must be there before the card is written

    @property
    def uri(self) -> str:
        return self.inner.uri

    def written(self) -> list[str]:
        return self.notes.read_text().splitlines() if self.notes.exists() else []

    def read(self, key: str) -> bytes:
        return self.inner.read(key)

    def child(self, prefix: str) -> ObjectStore:
        return self.inner.child(prefix)

    def list(self, prefix: str = "") -> list[ObjectInfo]:
        return self.inner.list(prefix)

    def delete(self, key: str) -> None:
        self.inner.delete(key)

    def write(self, key: str, data: bytes) -> None:
        if self.fails_at is not None and len(self.written()) >= self.fails_at:
            raise OSError("the disk is gone")
        with self.notes.open("a") as notes:
            notes.write(f"{key}\n")
        while self.waits and key.endswith("card.json") and not self.waits.exists():
            time.sleep(0.01)
        self.inner.write(key, data)


@pytest.fixture
def watched(storage: ObjectStore, tmp_path: Path) -> WatchedStore:
    return WatchedStore(storage, tmp_path / "writes")


def test_every_shard_is_written_once_and_the_card_last(watched: WatchedStore, image_folder: Path) -> None:
    prepared = prepare(Data(source=FolderSource(path=str(image_folder)), resolution=1024), watched)
    *shards, card = watched.written()
    assert sorted(shards) == prepared.shard_keys()
    assert len(shards) == 6
    assert card == f"{prepared.folder}/card.json"


@pytest.mark.parametrize("fails_at", range(7))
def test_a_preparation_that_fails_at_any_write_leaves_nothing(fails_at: int, watched: WatchedStore, image_folder: Path) -> None:
    data = Data(source=FolderSource(path=str(image_folder)), resolution=1024)  # six shards and a card
    with pytest.raises(OSError, match="the disk is gone"):
        prepare(data, replace(watched, fails_at=fails_at))
    assert keys_of(watched.inner) == set()
    assert prepare(data, watched.inner).is_complete()


def test_two_preparations_at_once_end_with_one_whole_dataset(watched: WatchedStore, image_folder: Path, tmp_path: Path) -> None:
    data = Data(source=FolderSource(path=str(image_folder)), resolution=1024)
    patient = replace(watched, waits=tmp_path / "go on")
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(prepare, data, patient)
        while not watched.written() or not watched.written()[-1].endswith("card.json"):
            time.sleep(0.01)
        second = prepare(data, watched.inner)
        (tmp_path / "go on").touch()
        assert first.result(60).card == second.card
    assert prepared_earlier(data, watched.inner) == second
    assert read_back(second)[1].tolist() == [0] * 15 + [1] * 15


def test_shards_that_another_failed_preparation_removed_are_written_again(
    watched: WatchedStore, image_folder: Path, tmp_path: Path
) -> None:
    data = Data(source=FolderSource(path=str(image_folder)), resolution=1024)
    patient = replace(watched, waits=tmp_path / "go on")
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(prepare, data, patient)
        while not watched.written() or not watched.written()[-1].endswith("card.json"):
            time.sleep(0.01)
        with pytest.raises(OSError, match="the disk is gone"):
            prepare(data, replace(watched, notes=tmp_path / "others", fails_at=3))
        assert keys_of(watched.inner) == set()
        (tmp_path / "go on").touch()
        assert first.result(60).is_complete()


def test_shards_without_a_card_are_swept_once_they_are_old(storage: ObjectStore, image_folder: Path) -> None:
    for name, age_s in (("old-0123456789ab", 8 * 86_400), ("young-0123456789ab", 86_400)):
        storage.write(f"datasets/{name}/shard-00000.parquet", b"x")
        storage.write(f"datasets/{name}/notes.txt", b"x")
        for file in (Path(storage.root) / "datasets" / name).iterdir():
            os.utime(file, (time.time() - age_s,) * 2)
    prepared = prepare(Data(source=FolderSource(path=str(image_folder)), resolution=8), storage)
    old, young = ({key for key in keys_of(storage) if key.startswith(f"datasets/{name}-")} for name in ("old", "young"))
    assert (len(old), len(young)) == (1, 2)
    assert prepared.is_complete()


def test_a_storage_that_cannot_be_written_is_an_error_of_one_line(storage: ObjectStore, image_folder: Path) -> None:
    (Path(storage.root) / "datasets").symlink_to("nowhere")
    with pytest.raises(GanrayError) as error:
        prepare(Data(source=FolderSource(path=str(image_folder)), resolution=8), storage)
    assert error.value.field == "storage"
    assert "\n" not in str(error.value)
