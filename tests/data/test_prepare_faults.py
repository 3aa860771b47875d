"""Preparing against faults: kills, failures at every write, races, and leftovers, on a real local Ray."""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from ganray.config import Data, FolderSource
from ganray.data import shard
from ganray.errors import GanrayError
from ganray.storage import ObjectInfo, ObjectStore
from tests.helpers.prepared import keys_of, prepare, prepared_earlier, read_back
from tests.helpers.runs import REPOSITORY

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("ray_address")]

SMALL_SHARD = 5 * 8 * 8 * 3  # bytes of five images
PREPARE_UNTIL_KILLED = f"""
import pathlib, ray, sys
from ganray.config import Data, FolderSource
from ganray.data import shard
from ganray.storage import open_store
from tests.data.test_prepare_faults import WatchedStore
from tests.helpers.prepared import prepare

shard.MAX_SHARD_BYTES = {SMALL_SHARD}
ray.init(address=sys.argv[1], log_to_driver=False)
store, folder = open_store(sys.argv[3]), pathlib.Path(sys.argv[4])
store = WatchedStore(store, folder / "writes", waits=folder / "never", stands_at="00003.parquet")
prepare(Data(source=FolderSource(path=sys.argv[2]), resolution=8), store)
"""


@pytest.fixture
def data(image_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Data:
    """Thirty images, which make six shards: of five images rather than of 16 MB."""
    monkeypatch.setattr(shard, "MAX_SHARD_BYTES", SMALL_SHARD)
    return Data(source=FolderSource(path=str(image_folder)), resolution=8)


def test_a_killed_attempt_leaves_nothing_that_looks_like_a_dataset(
    storage: ObjectStore, data: Data, image_folder: Path, tmp_path: Path, ray_address: str
) -> None:
    command = [sys.executable, "-c", PREPARE_UNTIL_KILLED, ray_address, str(image_folder), storage.uri, str(tmp_path)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, cwd=REPOSITORY)
    try:
        deadline = time.monotonic() + 60
        while not keys_of(storage) and time.monotonic() < deadline:
            time.sleep(0.05)
    finally:
        process.kill()
        process.wait()
    left = keys_of(storage)
    assert left
    assert not [key for key in left if key.endswith(("00003.parquet", "card.json"))]
    assert prepared_earlier(data, storage) is None
    prepared = prepare(data, storage)
    assert read_back(prepared)[0][:, 0, 0, 0].tolist() == [*range(1, 30, 2), *range(0, 30, 2)]
    assert left <= keys_of(storage) == {*prepared.shard_keys(), f"{prepared.folder}/card.json"}


@dataclass(frozen=True)
class WatchedStore:
    """A store that notes every write in a file, and fails from write number `fails_at` on, whatever process writes."""

    inner: ObjectStore
    notes: Path
    fails_at: int | None = None
    waits: Path | None = None  # a file that must be there before what `stands_at` ends the name of is written
    stands_at: str = "card.json"

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
        while self.waits and key.endswith(self.stands_at) and not self.waits.exists():
            time.sleep(0.01)
        self.inner.write(key, data)


@pytest.fixture
def watched(storage: ObjectStore, tmp_path: Path) -> WatchedStore:
    return WatchedStore(storage, tmp_path / "writes")


def test_every_shard_is_written_once_and_the_card_last(watched: WatchedStore, data: Data) -> None:
    prepared = prepare(data, watched)
    *shards, card = watched.written()
    assert sorted(shards) == prepared.shard_keys()
    assert len(shards) == 6
    assert card == f"{prepared.folder}/card.json"


@pytest.mark.parametrize("fails_at", range(7))  # six shards and a card
def test_a_preparation_that_fails_at_any_write_leaves_nothing(fails_at: int, watched: WatchedStore, data: Data) -> None:
    with pytest.raises(OSError, match="the disk is gone"):
        prepare(data, replace(watched, fails_at=fails_at))
    assert keys_of(watched.inner) == set()
    assert prepare(data, watched.inner).is_complete()


def test_two_preparations_at_once_end_with_one_whole_dataset(watched: WatchedStore, data: Data, tmp_path: Path) -> None:
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


def test_shards_that_another_failed_preparation_removed_are_written_again(watched: WatchedStore, data: Data, tmp_path: Path) -> None:
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


def test_shards_without_a_card_are_swept_once_they_are_old(storage: ObjectStore, data: Data) -> None:
    for name, age_s in (("old-0123456789ab", 8 * 86_400), ("young-0123456789ab", 86_400)):
        storage.write(f"datasets/{name}/shard-00000.parquet", b"x")
        storage.write(f"datasets/{name}/notes.txt", b"x")
        for file in (Path(storage.root) / "datasets" / name).iterdir():
            os.utime(file, (time.time() - age_s,) * 2)
    prepared = prepare(data, storage)
    old, young = ({key for key in keys_of(storage) if key.startswith(f"datasets/{name}-")} for name in ("old", "young"))
    assert (len(old), len(young)) == (1, 2)
    assert prepared.is_complete()


def test_a_storage_that_cannot_be_written_is_an_error_of_one_line(storage: ObjectStore, data: Data) -> None:
    (Path(storage.root) / "datasets").symlink_to("nowhere")
    with pytest.raises(GanrayError) as error:
        prepare(data, storage)
    assert error.value.field == "storage"
    assert "\n" not in str(error.value)
