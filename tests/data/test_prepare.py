"""Preparing datasets on a real local Ray: what is written, in which order, and what happens to bad input."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from ganray.config import Data, FashionMnistSource, FolderSource
from ganray.data.card import DatasetCard
from ganray.data.dataset import load_dataset
from ganray.data.preparation.shards import cut_shards
from ganray.data.shard import rows_per_shard
from ganray.data.sources.fashion_mnist import CLASSES, SHA256, read_bundled
from ganray.errors import GanrayError
from ganray.modalities.image import Target, resize
from ganray.storage import ObjectStore, open_store
from tests.helpers.prepared import keys_of, prepare, prepared_earlier, read_back
from tests.helpers.runs import REPOSITORY

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("ray_address")]

BUNDLED = Data(source=FashionMnistSource(split="test"), resolution=32, channels=1)
PREPARE = """
import sys
from ganray.cluster.session import ray_session
from ganray.config import Data
from ganray.storage import open_store
from tests.helpers.prepared import prepare
with ray_session("local"):
    card = prepare(Data.model_validate_json(sys.argv[1]), open_store(sys.argv[2])).card
print(card.fingerprint, *[shard.sha256 for shard in card.shards])
"""


def test_fashion_mnist_end_to_end(storage: ObjectStore) -> None:
    seen = []
    prepared = prepare(BUNDLED, storage, progress=lambda done, total: seen.append((done, total)))
    pixels, labels = read_back(prepared)
    table = read_bundled()
    np.testing.assert_array_equal(labels, table["label"].to_numpy())
    for index in (0, 4321, 9999):
        raw = np.frombuffer(table["image"][index].as_py(), np.uint8).reshape(28, 28)
        np.testing.assert_array_equal(pixels[index], resize(raw, Target((1, 32, 32), "lanczos")))
    card = prepared.card
    assert (card.count, card.shape, card.classes, card.class_counts) == (10_000, (1, 32, 32), CLASSES, [1000] * 10)
    assert "MIT" in card.licence
    assert prepared.folder == f"datasets/fashion-mnist-{card.key[:12]}"
    assert seen[-1] == (10_000, 10_000)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_images_that_repeat_others_are_counted_in_the_card(storage: ObjectStore, image_folder: Path) -> None:
    data = Data(source=FolderSource(path=str(image_folder)), resolution=16, channels=1)
    plain = prepare(data, storage).card
    assert (plain.count, plain.duplicates, plain.num_distinct) == (30, 0, 30)
    for index in (3, 7):
        (image_folder / "cat" / f"again-{index}.png").write_bytes((image_folder / "cat" / f"{index:02d}.png").read_bytes())
    again = prepare(data, storage).card
    assert (again.count, again.duplicates, again.num_distinct) == (32, 2, 30)
    stored = plain.model_dump(exclude={"duplicates"})  # as earlier versions wrote it
    assert DatasetCard.model_validate(stored) == plain.model_copy(update={"duplicates": None})


def test_the_bytes_written_do_not_depend_on_the_number_of_cpus(storage: ObjectStore, image_folder: Path, tmp_path: Path) -> None:
    data = Data(source=FolderSource(path=str(image_folder)), resolution=512)
    card = prepare(data, storage).card
    assert [shard.rows for shard in card.shards] == [21, 9]
    command = [sys.executable, "-c", PREPARE, data.model_dump_json(), str(tmp_path / "other")]
    one = {**os.environ, "RAY_OVERRIDE_RESOURCES": '{"CPU": 1}'}
    result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120, cwd=REPOSITORY, env=one)
    assert result.stdout.split() == [card.fingerprint, *[shard.sha256 for shard in card.shards]]


def test_the_bundled_images_are_the_published_ones() -> None:
    table = read_bundled()
    header = b"".join(number.to_bytes(4, "big") for number in (0x803, 10_000, 28, 28))
    images = header + b"".join(table["image"].to_pylist())
    assert hashlib.sha256(images).hexdigest() == SHA256["t10k-images-idx3-ubyte"]
    labels = (0x801).to_bytes(4, "big") + (10_000).to_bytes(4, "big") + bytes(table["label"].to_pylist())
    assert hashlib.sha256(labels).hexdigest() == SHA256["t10k-labels-idx1-ubyte"]


def test_shards_are_exact_and_in_order_with_one_row_group_each(storage: ObjectStore, image_folder: Path) -> None:
    # 1024 x 1024 x 3: five rows a shard.
    prepared = prepare(Data(source=FolderSource(path=str(image_folder)), resolution=1024), storage)
    card = prepared.card
    assert card.rows_per_shard == rows_per_shard(card.sample_type) == 5
    assert [(shard.file, shard.rows) for shard in card.shards] == [(f"shard-{number:05d}.parquet", 5) for number in range(6)]
    pixels, labels = read_back(prepared)
    assert pixels[:, 0, 0, 0].tolist() == [*range(1, 30, 2), *range(0, 30, 2)]  # cat before zebra, each sorted
    assert labels.tolist() == [0] * 15 + [1] * 15
    for shard, key in zip(card.shards, prepared.shard_keys(), strict=True):
        data = storage.read(key)
        metadata = pq.ParquetFile(BytesIO(data)).metadata
        assert hashlib.sha256(data).hexdigest() == shard.sha256
        assert (metadata.num_row_groups, metadata.row_group(0).column(0).compression) == (1, "ZSTD")


def test_prepared_once_and_found_again_without_reading(storage: ObjectStore, image_folder: Path) -> None:
    data = Data(source=FolderSource(path=str(image_folder)), resolution=8)
    assert prepared_earlier(data, storage) is None
    first = prepare(data, storage)
    before = keys_of(storage)
    for file in image_folder.rglob("*.png"):  # same listing, but nothing that could be read again
        times = (file.stat().st_atime_ns, file.stat().st_mtime_ns)
        file.write_bytes(b"x" * file.stat().st_size)
        os.utime(file, ns=times)
    assert prepare(data, storage) == first == prepared_earlier(data, storage)
    assert load_dataset(storage, first.folder).card == first.card
    assert open_store(first.uri).read("card.json") == storage.read(f"{first.folder}/card.json")
    assert keys_of(storage) == before


def test_another_setting_or_a_changed_source_is_another_dataset(storage: ObjectStore, image_folder: Path) -> None:
    source = FolderSource(path=str(image_folder))
    first = prepare(Data(source=source, resolution=8), storage)
    assert prepared_earlier(Data(source=source, resolution=8, mode="streaming", max_bad_fraction=0.5), storage) == first
    for other in (Data(source=source, resolution=(8, 9)), Data(source=source, resolution=8, filter="box")):
        assert prepared_earlier(other, storage) is None
    Image.new("L", (12, 10), 99).save(image_folder / "cat" / "99.png")
    assert prepared_earlier(Data(source=source, resolution=8), storage) is None


def test_a_dataset_that_lost_a_shard_is_prepared_again(storage: ObjectStore, image_folder: Path) -> None:
    data = Data(source=FolderSource(path=str(image_folder)), resolution=8)
    first = prepare(data, storage)
    storage.delete(first.shard_keys()[0])
    assert prepared_earlier(data, storage) is None
    assert prepare(data, storage).card == first.card
    assert set(first.shard_keys()) <= keys_of(storage)


def test_unreadable_images_are_skipped_counted_and_named(storage: ObjectStore, image_folder: Path) -> None:
    (image_folder / "cat" / "05.png").write_bytes(b"no image")
    data = (image_folder / "zebra" / "10.png").read_bytes()
    (image_folder / "zebra" / "10.png").write_bytes(data[: len(data) // 2])
    prepared = prepare(Data(source=FolderSource(path=str(image_folder)), resolution=8, max_bad_fraction=0.1), storage)
    card = prepared.card
    assert (card.count, card.class_counts, card.skipped.count) == (28, [14, 14], 2)
    assert [example.name for example in card.skipped.examples] == ["cat/05.png", "zebra/10.png"]
    assert all(example.reason for example in card.skipped.examples)
    assert read_back(prepared)[0][:, 0, 0, 0].tolist() == [
        *(i for i in range(1, 30, 2) if i != 5),
        *(i for i in range(0, 30, 2) if i != 10),
    ]
    with pytest.raises(GanrayError, match="05"):
        prepare(Data(source=FolderSource(path=str(image_folder)), resolution=8), storage)


def test_too_many_unreadable_images_are_an_error_that_names_the_first_five(storage: ObjectStore, image_folder: Path) -> None:
    broken = sorted(image_folder.rglob("*.png"))[3:28:3]
    for file in broken:
        file.write_bytes(b"no image")
    with pytest.raises(GanrayError) as error:
        prepare(Data(source=FolderSource(path=str(image_folder)), resolution=8, max_bad_fraction=0.2), storage)
    assert error.value.field == "data.max_bad_fraction"
    named = [str(file.relative_to(image_folder)) in error.value.problem for file in broken]
    assert named == [True] * 5 + [False] * 4
    assert keys_of(storage) == set()


def test_a_folder_of_texts_named_as_images_is_an_error_even_if_all_may_be_bad(storage: ObjectStore, tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    for index in range(7):
        (tmp_path / "texts" / f"{index}.png").write_text("some text")
    for fraction in (0.001, 1.0):
        with pytest.raises(GanrayError, match="none of 7 samples could be read") as error:
            prepare(Data(source=FolderSource(path=str(tmp_path / "texts")), max_bad_fraction=fraction), storage)
        assert error.value.field == "data.source.path"
    assert keys_of(storage) == set()


def test_an_archive_is_prepared_as_its_folder_is_and_the_card_names_what_is_left_out(storage: ObjectStore, image_folder: Path) -> None:
    labels = [[file.relative_to(image_folder).as_posix(), int(file.stem) % 3] for file in image_folder.rglob("*.png")]
    (image_folder / "dataset.json").write_text(json.dumps({"labels": labels}))
    (image_folder / "cat" / "notes.txt").write_text("of a cat")
    (image_folder / "zebra" / "é.png").write_bytes((image_folder / "cat" / "01.png").read_bytes())
    archive = shutil.make_archive(str(image_folder.parent / "zipped"), "zip", image_folder)
    (image_folder / "zebra" / "é.png").rename(os.fsdecode(os.fsencode(image_folder) + b"/zebra/\xe9.png"))  # not UTF-8
    for path in (str(image_folder), archive):
        prepared = prepare(Data(source=FolderSource(path=path), resolution=8), storage)
        pixels, numbers = read_back(prepared)
        order = [*range(1, 30, 2), *range(0, 30, 2), 1]
        assert pixels[:, 0, 0, 0].tolist() == order
        assert numbers.tolist() == [*(value % 3 for value in order[:-1]), -1]
        card = load_dataset(storage, prepared.folder).card
        assert (card.classes, card.class_counts, card.skipped.count) == (["0", "1", "2"], [10, 10, 10], 0)
        assert [(sample.name, sample.reason) for sample in card.left_out.examples] == [("cat/notes.txt", "no image by extension")]


def test_deep_images_are_measured_and_scaled_by_the_jobs_bit_depth(
    storage: ObjectStore, image_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for index, file in enumerate(sorted(image_folder.rglob("*.png"))):
        Image.fromarray(np.full((8, 8), 4095 - index, np.uint16)).save(file)
    source = FolderSource(path=str(image_folder))
    for _ in range(2):  # prepared, and found again
        dark = prepare(Data(source=source, resolution=8, channels=1), storage)
        assert "set data.bit_depth=12" in caplog.text
        caplog.clear()
    bright = prepare(Data(source=source, resolution=8, channels=1, bit_depth=12), storage)
    assert (dark.card.peak, bright.card.peak, "bit_depth" in caplog.text) == (4095, 4095, False)
    assert (read_back(dark)[0].max(), read_back(bright)[0].max(), read_back(bright)[0].min()) == (16, 255, 253)


def test_shards_are_cut_from_blocks_of_any_size() -> None:
    blocks = [("a", 3), ("b", 0), ("c", 7), ("d", 1)]
    assert list(cut_shards(blocks, 4)) == [[("a", 0, 3), ("c", 0, 1)], [("c", 1, 5)], [("c", 5, 7), ("d", 0, 1)]]
    assert list(cut_shards([("a", 4)], 4)) == [[("a", 0, 4)]]
    assert list(cut_shards([], 4)) == []
