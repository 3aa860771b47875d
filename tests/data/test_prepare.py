"""Preparing datasets on a real local Ray: what is written, in which order, and what happens to bad input."""

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import ray
from PIL import Image

from ganray.cluster.session import ray_session
from ganray.config import Data, FashionMnistSource, FolderSource
from ganray.data.dataset import PreparedDataset, load_dataset
from ganray.data.preparation.prepare import dataset_folder, find_dataset, prepare
from ganray.data.preparation.shards import cut_shards
from ganray.data.shard import rows_per_shard
from ganray.data.sources import list_source
from ganray.data.sources.fashion_mnist import CLASSES, SHA256, read_bundled
from ganray.errors import GanrayError
from ganray.modalities.image import resize
from ganray.storage import ObjectInfo, ObjectStore, open_store

pytestmark = pytest.mark.cluster

BUNDLED = Data(source=FashionMnistSource(split="test"), resolution=32, channels=1)
PREPARE_BUNDLED = """
import ray, sys
from ganray.config import Data, FashionMnistSource
from ganray.data.preparation.prepare import prepare
from ganray.storage import open_store
ray.init(address="local", include_dashboard=False, num_cpus=1, log_to_driver=False)
data = Data(source=FashionMnistSource(split="test"), resolution=32, channels=1)
card = prepare(data, open_store(sys.argv[1])).card
print(card.fingerprint, *[shard.sha256 for shard in card.shards])
"""
PREPARE_SLOWLY = """
import ray, sys
from ganray.config import Data, FolderSource
from ganray.data.preparation.prepare import prepare
from ganray.storage import open_store

ray.init(address=sys.argv[1], log_to_driver=False)
prepare(Data(source=FolderSource(path=sys.argv[2]), resolution=512), open_store(sys.argv[3]))
"""


@pytest.fixture(scope="module", autouse=True)
def _ray() -> Iterator[None]:
    with ray_session("local"):
        yield


@pytest.fixture
def storage(tmp_path: Path) -> ObjectStore:
    (tmp_path / "store").mkdir()
    return open_store(str(tmp_path / "store"))


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Thirty PNGs of one grey value each, 0 to 29, in two classes and an order that is not that of the values."""
    folder = tmp_path / "pictures"
    for index in range(30):
        file = folder / ("zebra", "cat")[index % 2] / f"{index:02d}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (12, 10), index).save(file)
    return folder


def read_back(prepared: PreparedDataset) -> tuple[np.ndarray, np.ndarray]:
    """All pixels [N, C, H, W] and labels [N] of a prepared dataset."""
    tables = [pq.read_table(BytesIO(prepared.storage.read(key))) for key in prepared.shard_keys()]
    pixels = [np.frombuffer(b"".join(table["image"].to_pylist()), np.uint8) for table in tables]
    return np.concatenate(pixels).reshape(-1, *prepared.card.shape), np.concatenate([table["label"].to_numpy() for table in tables])


def prepared_earlier(data: Data, storage: ObjectStore) -> PreparedDataset | None:
    """Return what `prepare` would find."""
    return find_dataset(storage, dataset_folder(data, list_source(data.source)))


def keys_of(storage: ObjectStore) -> set[str]:
    return {info.key for info in storage.list("")}


def test_fashion_mnist_end_to_end(storage: ObjectStore) -> None:
    seen = []
    prepared = prepare(BUNDLED, storage, progress=lambda done, total: seen.append((done, total)))
    pixels, labels = read_back(prepared)
    table = read_bundled()
    np.testing.assert_array_equal(labels, table["label"].to_numpy())
    for index in (0, 4321, 9999):
        raw = np.frombuffer(table["image"][index].as_py(), np.uint8).reshape(28, 28)
        np.testing.assert_array_equal(pixels[index], resize(raw, (1, 32, 32), "lanczos"))
    card = prepared.card
    assert (card.count, card.shape, card.classes, card.class_counts) == (10_000, (1, 32, 32), CLASSES, [1000] * 10)
    assert "MIT" in card.licence
    assert prepared.folder == f"datasets/fashion-mnist-{card.key[:12]}"
    assert seen[-1] == (10_000, 10_000)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_the_bytes_written_do_not_depend_on_the_number_of_cpus(storage: ObjectStore, tmp_path: Path) -> None:
    card = prepare(BUNDLED, storage).card
    command = [sys.executable, "-c", PREPARE_BUNDLED, str(tmp_path / "other")]
    result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert result.stdout.split() == [card.fingerprint, *[shard.sha256 for shard in card.shards]]


def test_the_bundled_pictures_are_the_published_ones() -> None:
    table = read_bundled()
    header = b"".join(number.to_bytes(4, "big") for number in (0x803, 10_000, 28, 28))
    images = header + b"".join(table["image"].to_pylist())
    assert hashlib.sha256(images).hexdigest() == SHA256["t10k-images-idx3-ubyte"]
    labels = (0x801).to_bytes(4, "big") + (10_000).to_bytes(4, "big") + bytes(table["label"].to_pylist())
    assert hashlib.sha256(labels).hexdigest() == SHA256["t10k-labels-idx1-ubyte"]


def test_shards_are_exact_and_in_order_with_one_row_group_each(storage: ObjectStore, pictures: Path) -> None:
    # 1024 x 1024 x 3: five rows a shard.
    prepared = prepare(Data(source=FolderSource(path=str(pictures)), resolution=1024), storage)
    card = prepared.card
    assert card.rows_per_shard == rows_per_shard(card.shape) == 5
    assert [(shard.file, shard.rows) for shard in card.shards] == [(f"shard-{number:05d}.parquet", 5) for number in range(6)]
    pixels, labels = read_back(prepared)
    assert pixels[:, 0, 0, 0].tolist() == [*range(1, 30, 2), *range(0, 30, 2)]  # cat before zebra, each sorted
    assert labels.tolist() == [0] * 15 + [1] * 15
    for shard, key in zip(card.shards, prepared.shard_keys(), strict=True):
        data = storage.read(key)
        metadata = pq.ParquetFile(BytesIO(data)).metadata
        assert hashlib.sha256(data).hexdigest() == shard.sha256
        assert (metadata.num_row_groups, metadata.row_group(0).column(0).compression) == (1, "ZSTD")


def test_prepared_once_and_found_again_without_reading(storage: ObjectStore, pictures: Path) -> None:
    data = Data(source=FolderSource(path=str(pictures)), resolution=8)
    assert prepared_earlier(data, storage) is None
    first = prepare(data, storage)
    before = keys_of(storage)
    for file in pictures.rglob("*.png"):  # same listing, but nothing that could be read again
        times = (file.stat().st_atime_ns, file.stat().st_mtime_ns)
        file.write_bytes(b"x" * file.stat().st_size)
        os.utime(file, ns=times)
    assert prepare(data, storage) == first == prepared_earlier(data, storage)
    assert load_dataset(storage, first.folder).card == first.card
    assert open_store(first.uri).read("card.json") == storage.read(f"{first.folder}/card.json")
    assert keys_of(storage) == before


def test_another_setting_or_a_changed_source_is_another_dataset(storage: ObjectStore, pictures: Path) -> None:
    source = FolderSource(path=str(pictures))
    first = prepare(Data(source=source, resolution=8), storage)
    assert prepared_earlier(Data(source=source, resolution=8, mode="streaming", max_bad_fraction=0.5), storage) == first
    for other in (Data(source=source, resolution=(8, 9)), Data(source=source, resolution=8, filter="box")):
        assert prepared_earlier(other, storage) is None
    Image.new("L", (12, 10), 99).save(pictures / "cat" / "99.png")
    assert prepared_earlier(Data(source=source, resolution=8), storage) is None


def test_a_dataset_that_lost_a_shard_is_prepared_again(storage: ObjectStore, pictures: Path) -> None:
    data = Data(source=FolderSource(path=str(pictures)), resolution=8)
    first = prepare(data, storage)
    storage.delete(first.shard_keys()[0])
    assert prepared_earlier(data, storage) is None
    assert prepare(data, storage).card == first.card
    assert set(first.shard_keys()) <= keys_of(storage)


def test_unreadable_pictures_are_skipped_counted_and_named(storage: ObjectStore, pictures: Path) -> None:
    (pictures / "cat" / "05.png").write_bytes(b"no picture")
    data = (pictures / "zebra" / "10.png").read_bytes()
    (pictures / "zebra" / "10.png").write_bytes(data[: len(data) // 2])
    prepared = prepare(Data(source=FolderSource(path=str(pictures)), resolution=8, max_bad_fraction=0.1), storage)
    card = prepared.card
    assert (card.count, card.class_counts, card.skipped.count) == (28, [14, 14], 2)
    assert [example.name for example in card.skipped.examples] == ["cat/05.png", "zebra/10.png"]
    assert all(example.reason for example in card.skipped.examples)
    assert read_back(prepared)[0][:, 0, 0, 0].tolist() == [
        *(i for i in range(1, 30, 2) if i != 5),
        *(i for i in range(0, 30, 2) if i != 10),
    ]
    with pytest.raises(GanrayError, match="05"):
        prepare(Data(source=FolderSource(path=str(pictures)), resolution=8), storage)


def test_too_many_unreadable_pictures_are_an_error_that_names_the_first_five(storage: ObjectStore, pictures: Path) -> None:
    broken = sorted(pictures.rglob("*.png"))[3:28:3]
    for file in broken:
        file.write_bytes(b"no picture")
    with pytest.raises(GanrayError) as error:
        prepare(Data(source=FolderSource(path=str(pictures)), resolution=8, max_bad_fraction=0.2), storage)
    assert error.value.field == "data.max_bad_fraction"
    named = [str(file.relative_to(pictures)) in error.value.problem for file in broken]
    assert named == [True] * 5 + [False] * 4
    assert keys_of(storage) == set()


def test_a_folder_of_text_files_is_an_error_even_if_all_may_be_bad(storage: ObjectStore, tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    for index in range(7):
        (tmp_path / "texts" / f"{index}.txt").write_text("some text")
    for fraction in (0.001, 1.0):
        with pytest.raises(GanrayError, match="none of 7 samples could be read") as error:
            prepare(Data(source=FolderSource(path=str(tmp_path / "texts")), max_bad_fraction=fraction), storage)
        assert error.value.field == "data.source.path"
    assert keys_of(storage) == set()


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


def test_every_shard_is_written_once_and_the_card_last(watched: WatchedStore, pictures: Path) -> None:
    prepared = prepare(Data(source=FolderSource(path=str(pictures)), resolution=1024), watched)
    *shards, card = watched.written()
    assert sorted(shards) == prepared.shard_keys()
    assert len(shards) == 6
    assert card == f"{prepared.folder}/card.json"


@pytest.mark.parametrize("fails_at", range(7))
def test_a_preparation_that_fails_at_any_write_leaves_nothing(fails_at: int, watched: WatchedStore, pictures: Path) -> None:
    data = Data(source=FolderSource(path=str(pictures)), resolution=1024)  # six shards and a card
    with pytest.raises(OSError, match="the disk is gone"):
        prepare(data, replace(watched, fails_at=fails_at))
    assert keys_of(watched.inner) == set()
    assert prepare(data, watched.inner).is_complete()


def test_two_preparations_at_once_end_with_one_whole_dataset(watched: WatchedStore, pictures: Path, tmp_path: Path) -> None:
    data = Data(source=FolderSource(path=str(pictures)), resolution=1024)
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


def test_shards_that_another_failed_preparation_removed_are_written_again(watched: WatchedStore, pictures: Path, tmp_path: Path) -> None:
    data = Data(source=FolderSource(path=str(pictures)), resolution=1024)
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


def test_shards_without_a_card_are_swept_once_they_are_old(storage: ObjectStore, pictures: Path) -> None:
    for name, age_s in (("old-0123456789ab", 8 * 86_400), ("young-0123456789ab", 86_400)):
        storage.write(f"datasets/{name}/shard-00000.parquet", b"x")
        storage.write(f"datasets/{name}/notes.txt", b"x")
        for file in (Path(storage.root) / "datasets" / name).iterdir():
            os.utime(file, (time.time() - age_s,) * 2)
    prepared = prepare(Data(source=FolderSource(path=str(pictures)), resolution=8), storage)
    old, young = ({key for key in keys_of(storage) if key.startswith(f"datasets/{name}-")} for name in ("old", "young"))
    assert (len(old), len(young)) == (1, 2)
    assert prepared.is_complete()


def test_a_storage_that_cannot_be_written_is_an_error_of_one_line(storage: ObjectStore, pictures: Path) -> None:
    (Path(storage.root) / "datasets").symlink_to("nowhere")
    with pytest.raises(GanrayError) as error:
        prepare(Data(source=FolderSource(path=str(pictures)), resolution=8), storage)
    assert error.value.field == "storage"
    assert "\n" not in str(error.value)


def test_shards_are_cut_from_blocks_of_any_size() -> None:
    blocks = [("a", 3), ("b", 0), ("c", 7), ("d", 1)]
    assert list(cut_shards(blocks, 4)) == [[("a", 0, 3), ("c", 0, 1)], [("c", 1, 5)], [("c", 5, 7), ("d", 0, 1)]]
    assert list(cut_shards([("a", 4)], 4)) == [[("a", 0, 4)]]
    assert list(cut_shards([], 4)) == []
