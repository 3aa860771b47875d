"""Parquet as others write it: each column is read right, or refused in one line by its footer; damage costs the rows that it hits."""

import json
import os
import random
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ganray.config import Data, ParquetSource
from ganray.data.sources import list_source
from ganray.data.sources.parquet import parquet_rows
from ganray.data.sources.parquet_footer import read_footers
from ganray.data.sources.parquet_samples import SampleColumn, sample_column
from ganray.data.sources.rows import Listing
from ganray.errors import DataError, GanrayError, StorageError
from ganray.storage import open_store

GREYS = [10, 20, 30, 40]
DATA = [bytes([grey]) * 12 for grey in GREYS]
HUB_STRUCT = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
RAW = np.arange(4 * 2 * 5 * 3, dtype=np.uint8).reshape(4, 2, 5, 3)  # four images, height 2, width 5, channels last
FIRST = RAW.transpose(0, 3, 1, 2)
LISTS = pa.list_(pa.list_(pa.list_(pa.uint8())))


def write(folder: Path, *tables: dict[str, Any], metadata: dict[bytes, bytes] | None = None, **options: Any) -> Path:
    """Write tables as files a.parquet, b.parquet, ... and return their folder."""
    folder.mkdir(exist_ok=True)
    for name, columns in zip("abcdef", tables, strict=False):
        pq.write_table(pa.table(columns).replace_schema_metadata(metadata), folder / f"{name}.parquet", **options)
    return folder


def column(source: ParquetSource) -> SampleColumn:
    return sample_column(Data(source=source), source)


def listed(source: ParquetSource) -> Listing:
    return list_source(Data(source=source))


def read(folder: Path, **settings: Any) -> tuple[list[bytes | None], list[int], list[str] | None, list[str | None]]:
    """Read all rows as a task does: their data, labels, classes, and the reasons why some have none."""
    source, store = ParquetSource(path=str(folder), **settings), open_store(folder)
    rows = parquet_rows(store, source, column(source), read_footers(store, [info.key for info in store.list()], source, column(source)))
    tables = [table for group in rows.groups for table in rows.read(group)]
    table = pa.concat_tables(tables)
    assert table["name"].to_pylist() == [f"{group.file}#{group.start + row}" for group in rows.groups for row in range(group.rows)]
    return table["data"].to_pylist(), table["label"].to_pylist(), rows.classes, table["reason"].to_pylist()


def refusal(folder: Path, **settings: Any) -> str:
    """Return the one line that listing a source, before Ray starts, ends in."""
    with pytest.raises(DataError) as error:
        listed(ParquetSource(path=str(folder), **settings))
    assert "\n" not in str(error.value)
    return str(error.value)


IMAGES = {
    "binary": pa.array(DATA, pa.binary()),
    "large_binary": pa.array(DATA, pa.large_binary()),
    "fixed-size binary": pa.array(DATA, pa.binary(12)),
    "binary_view": pa.array(DATA, pa.binary_view()),
    "dictionary": pa.array(DATA, pa.binary()).dictionary_encode(),
    "struct": pa.array([{"bytes": data, "path": "x.png"} for data in DATA], HUB_STRUCT),
    "struct of views": pa.array([{"bytes": data} for data in DATA], pa.struct([("bytes", pa.binary_view())])),
}


@pytest.mark.parametrize("kind", IMAGES)
def test_encoded_images_of_every_type(kind: str, tmp_path: Path) -> None:
    assert read(write(tmp_path / "data", {"image": IMAGES[kind]})) == (DATA, [-1] * 4, None, [None] * 4)


LABELS = {
    "integers": ([pa.array([3, 1, 3, 1])], [1, 0, 1, 0], ["1", "3"]),
    "int8 and int64": ([pa.array([3, 1, 3, 1], pa.int8()), pa.array([1, 200, 3, None])], [1, 0, 1, 0, 0, 2, 1, -1], ["1", "3", "200"]),
    "uint64": ([pa.array([2**64 - 1, 5, 5, 7], pa.uint64())], [2, 0, 0, 1], ["5", "7", str(2**64 - 1)]),
    "uint64 and int8": ([pa.array([2**64 - 1, 5, 5, 7], pa.uint64()), pa.array([-3] * 4, pa.int8())], [3, 1, 1, 2] + [0] * 4, None),
    "text": ([pa.array(["dog", None, "ant", "dog"])], [1, -1, 0, 1], ["ant", "dog"]),
    "text and null": ([pa.array(["dog", "ant", "ant", "dog"]), pa.nulls(4)], [1, 0, 0, 1, -1, -1, -1, -1], ["ant", "dog"]),
    "integers and null": ([pa.nulls(4), pa.array([2, 2, 1, 1])], [-1] * 4 + [1, 1, 0, 0], ["1", "2"]),
    "string_view": ([pa.array(["b", "a", "b", None], pa.string_view())], [1, 0, 1, -1], ["a", "b"]),
    "large_string and string": ([pa.array(["b"] * 4, pa.large_string()), pa.array(["a"] * 4)], [1] * 4 + [0] * 4, ["a", "b"]),
    "dictionary": ([pa.array(["b", "a", "b", None]).dictionary_encode()], [1, 0, 1, -1], ["a", "b"]),
    "dictionary with more values": ([pa.DictionaryArray.from_arrays([1, 1, 0, 1], ["b", "a", "never"])], [0, 0, 1, 0], ["a", "b"]),
    "a class of -1": ([pa.array([-1, 1, -1, 1])], [0, 1, 0, 1], ["-1", "1"]),
}


@pytest.mark.parametrize("kind", LABELS)
def test_labels_of_every_type(kind: str, tmp_path: Path) -> None:
    columns, labels, classes = LABELS[kind]
    folder = write(tmp_path / "data", *[{"image": DATA, "label": column} for column in columns])
    _, found, names, _ = read(folder, label_column="label")
    assert found == labels
    assert names == (classes or names)


def test_files_without_rows_are_passed_over_whatever_their_columns_are(tmp_path: Path) -> None:
    sound, empty = {"image": DATA, "label": [1, 2, 1, 2]}, {"image": [], "label": []}
    folder = write(tmp_path / "data", empty, sound, {"image": pa.array([], pa.binary()), "label": pa.array([], pa.string())})
    assert read(folder, label_column="label") == (DATA, [0, 1, 0, 1], ["1", "2"], [None] * 4)


def features(**columns: dict[str, Any]) -> dict[bytes, bytes]:
    return {b"huggingface": json.dumps({"info": {"features": columns}}).encode()}


def test_class_names_of_the_hub_name_the_classes_and_minus_one_is_no_class(tmp_path: Path) -> None:
    metadata = features(label={"names": ["zebra", "ant", "cow"], "_type": "ClassLabel"})
    folder = write(tmp_path / "data", {"image": DATA, "label": [2, -1, 0, 2]}, metadata=metadata)
    assert read(folder, label_column="label")[1:3] == ([1, -1, 0, 1], ["zebra", "cow"])
    write(tmp_path / "wrong", {"image": DATA, "label": [3, -1, 0, 2]}, metadata=metadata)
    with pytest.raises(DataError, match="column label has class 3, and its ClassLabel names 3"):
        read(tmp_path / "wrong", label_column="label")


def test_a_listing_changes_with_what_its_files_say_of_the_samples(tmp_path: Path) -> None:
    def identity(**settings: Any) -> list[Any]:
        return listed(ParquetSource(path=str(tmp_path / "data"), **settings)).identity

    write(tmp_path / "data", {"image": DATA, "label": [0, 1, 0, 1]})
    plain = identity(label_column="label")
    assert plain[1:2] == [["image", "label", None]]
    assert len(plain) == 3  # as ever: what was prepared stays found
    write(tmp_path / "data", {"image": DATA, "label": [0, 1, 0, 1]}, metadata=features(label={"names": ["a", "b"], "_type": "ClassLabel"}))
    assert identity(label_column="label")[3:] == [{"names": ["a", "b"]}]
    assert identity(raw_shape=(2, 2, 3), raw_layout="channels-first")[3:] == [{"layout": "channels-first"}]


@pytest.mark.parametrize(
    "metadata", [b"{", b"[]", b'{"info": null}', b'{"info": {"features": {"label": {"_type": "ClassLabel", "names": 7}}}}']
)
def test_metadata_of_another_form_is_passed_over(metadata: bytes, tmp_path: Path) -> None:
    write(tmp_path / "data", {"image": DATA, "label": [2, -1, 0, 2]}, metadata={b"huggingface": metadata})
    assert read(tmp_path / "data", label_column="label")[2] == ["-1", "0", "2"]


def tensors(pixels: np.ndarray) -> pa.Array:
    return pa.FixedShapeTensorArray.from_numpy_ndarray(np.ascontiguousarray(pixels))


def flat(pixels: np.ndarray) -> list[bytes]:
    return [image.tobytes() for image in pixels]


RAW_COLUMNS: dict[str, tuple[Callable[[], Any], dict[str, Any]]] = {
    "bytes": (lambda: flat(RAW), {}),
    "bytes, channels first": (lambda: flat(FIRST), {"raw_layout": "channels-first"}),
    "lists": (lambda: pa.array([list(data) for data in flat(RAW)], pa.list_(pa.uint8())), {}),
    "lists, channels first": (
        lambda: pa.array([list(data) for data in flat(FIRST)], pa.list_(pa.uint8(), 30)),
        {"raw_layout": "channels-first"},
    ),
    "lists of lists": (lambda: pa.array(RAW.tolist(), LISTS), {}),
    "lists of lists, channels first": (lambda: pa.array(FIRST.tolist(), LISTS), {}),
    "lists of lists, said to be channels first": (lambda: pa.array(RAW.tolist(), LISTS), {"raw_layout": "channels-first"}),
    "tensors": (lambda: tensors(RAW), {}),
    "tensors, channels first": (lambda: tensors(FIRST), {}),
}


@pytest.mark.parametrize("kind", RAW_COLUMNS)
def test_raw_pixels_come_with_their_channels_last(kind: str, tmp_path: Path) -> None:
    column, settings = RAW_COLUMNS[kind]
    folder = write(tmp_path / "data", {"image": column()})
    assert read(folder, raw_shape=(2, 5, 3), **settings)[0] == flat(RAW)


def test_grey_lists_of_lists_need_no_channels(tmp_path: Path) -> None:
    folder = write(tmp_path / "data", {"image": pa.array(RAW[..., 0].tolist(), pa.list_(pa.list_(pa.uint8())))})
    assert read(folder, raw_shape=(2, 5, 1))[0] == flat(RAW[..., 0])


def test_raw_pixels_of_another_shape_are_unreadable_and_not_scrambled(tmp_path: Path) -> None:
    turned = RAW.transpose(0, 2, 1, 3).tolist()
    ragged = [[[[1, 1, 1]], [[2, 2, 2], [3, 3, 3]]]]
    folder = write(tmp_path / "data", {"image": pa.array([*turned[:1], *ragged, None, *RAW[:1].tolist()], LISTS)})
    data, _, _, reasons = read(folder, raw_shape=(2, 5, 3))
    assert data == [None, None, None, *flat(RAW[:1])]
    assert reasons == ["is 5 x 2 x 3 instead of 2 x 5 x 3", "has lines of different lengths", "there is nothing to read", None]


GENERATED = {b"ganray": b"{}", b"shape": b"[3, 2, 5]"}


def test_generated_files_of_before_state_their_shape_and_are_read_by_it(tmp_path: Path) -> None:
    folder = write(tmp_path / "data", {"image": pa.array(flat(FIRST), pa.binary(30))}, metadata=GENERATED)
    assert read(folder)[0] == read(folder, raw_shape=(2, 5, 3))[0] == flat(RAW)
    assert read(folder, raw_shape=(2, 5, 3), raw_layout="channels-last")[0] == flat(FIRST)
    assert "states a shape of 3 x 2 x 5, and this is 3 x 2 x 5; write the height" in refusal(folder, raw_shape=(3, 2, 5))
    (folder / "a.parquet").rename(folder / "b.parquet")
    write(folder, {"image": pa.array(flat(FIRST), pa.binary(30))})
    assert "the files state no shape of raw pixels in a.parquet and 3 x 2 x 5 in b.parquet" in refusal(folder)


def test_rows_with_a_path_and_no_bytes_are_unreadable(tmp_path: Path) -> None:
    images = pa.array([{"bytes": DATA[0], "path": None}, {"bytes": None, "path": "images/x.png"}, None], HUB_STRUCT)
    data, _, _, reasons = read(write(tmp_path / "data", {"image": images}))
    assert data == [DATA[0], None, None]
    assert reasons == [None, "the file holds the path 'images/x.png' and no bytes", "there is nothing to read"]


REFUSED: dict[str, tuple[list[dict[str, Any]], dict[str, Any], str]] = {
    "paths of no type": (
        [{"image": pa.array([{"bytes": None, "path": "x"}])}],
        {},
        "holds no bytes, only paths or nothing; write the images'",
    ),
    "null type": ([{"image": pa.nulls(2)}], {}, "column: column image of a.parquet holds null"),
    "lists of images": (
        [{"image": [DATA]}],
        {},
        "holds a list of images a row (list<element: binary>); name a column of bytes, one image a row",
    ),
    "lists of structs": ([{"image": pa.array([[{"bytes": b"x", "path": "x"}]])}], {"raw_shape": (1, 1, 1)}, "holds a list of images a row"),
    "raw without a shape": ([{"image": pa.array(RAW.tolist(), LISTS)}], {}, "together with data.source.raw_shape"),
    "lists of int64": ([{"image": RAW.tolist()}], {"raw_shape": (2, 5, 3)}, "holds list<"),
    "text": ([{"image": ["x.png"]}], {}, "column image of a.parquet holds string"),
    "tensors of another shape": (
        [{"image": tensors(RAW)}],
        {"raw_shape": (5, 2, 3)},
        "a.parquet states a shape of 2 x 5 x 3, and this is 5 x 2 x 3",
    ),
    "integers and text": (
        [{"image": DATA, "label": [1, 2, 3, 4]}, {"image": DATA, "label": ["a"] * 4}],
        {"label_column": "label"},
        "label_column: column label holds integers in a.parquet and text in b.parquet",
    ),
    "no labels": ([{"image": DATA, "label": pa.nulls(4)}], {"label_column": "label"}, "column label holds nothing but nulls"),
    "floats": ([{"image": DATA, "label": [0.5] * 4}], {"label_column": "label"}, "column label of a.parquet holds double; name"),
    "lists of labels": ([{"image": DATA, "label": [[1]] * 4}], {"label_column": "label"}, "column label of a.parquet holds list"),
    "a file without": ([{"image": DATA}, {"img": DATA}], {}, "b.parquet has no column image; name one of img"),
    "no rows": ([{"image": pa.array([], pa.binary())}], {}, "have no rows"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_read_is_one_line_before_ray_starts(kind: str, tmp_path: Path) -> None:
    tables, settings, line = REFUSED[kind]
    assert line in refusal(write(tmp_path / "data", *tables), **settings)


def test_other_class_names_in_another_file_are_one_line(tmp_path: Path) -> None:
    for name, names in (("a", ["x", "y"]), ("b", ["y", "x"])):
        table = pa.table({"image": DATA, "label": [0, 1, 0, 1]})
        schema = table.schema.with_metadata(features(label={"names": names, "_type": "ClassLabel"}))
        pq.write_table(table.cast(schema), tmp_path / f"{name}.parquet")
    assert "column label has other class names in a.parquet than in b.parquet" in refusal(tmp_path, label_column="label")


def test_labels_that_are_all_minus_one_are_no_labels(tmp_path: Path) -> None:
    metadata = features(label={"names": ["a", "b"], "_type": "ClassLabel"})
    write(tmp_path / "data", {"image": DATA, "label": [-1] * 4}, metadata=metadata)
    with pytest.raises(DataError, match="column label has no label in any row; leave it out"):
        read(tmp_path / "data", label_column="label")


def test_pipes_and_links_to_nowhere_are_one_line(tmp_path: Path) -> None:
    write(tmp_path / "data", {"image": DATA})
    os.mkfifo(tmp_path / "data" / "b.parquet")
    assert "b.parquet" in refusal(tmp_path / "data")
    assert "b.parquet" in refusal(tmp_path / "data" / "b.parquet")


def test_a_file_that_is_another_thing_or_cut_is_one_line(tmp_path: Path) -> None:
    folder = write(tmp_path / "data", {"image": DATA})
    content = (folder / "a.parquet").read_bytes()
    for damaged in (b"", b"PAR1", b"not Parquet at all", content[:-1], content[: len(content) // 2]):
        (folder / "a.parquet").write_bytes(damaged)
        assert "a.parquet is not a Parquet file, or damaged" in refusal(folder)


@pytest.mark.parametrize("checksums", [True, False])
@pytest.mark.parametrize("compression", ["none", "snappy", "zstd"])
def test_damage_anywhere_costs_the_rows_that_it_hits_or_is_one_line(compression: str, checksums: bool, tmp_path: Path) -> None:
    rng, count = random.Random(7), 60
    images = pa.array([{"bytes": rng.randbytes(200), "path": f"{row}.png"} for row in range(count)], HUB_STRUCT)
    folder = write(
        *(tmp_path / "data", {"image": images, "label": [f"class {row % 5}" for row in range(count)]}),
        row_group_size=20,
        data_page_size=1000,
        compression=compression,
        write_page_checksum=checksums,
    )
    sound, outcomes, lines = (folder / "a.parquet").read_bytes(), {"whole": 0, "some": 0, "refused": 0}, []
    for _ in range(150):
        content = bytearray(sound)
        start = len(sound) - 1500 if rng.random() < 0.5 else 0  # half of them in the footer, which is small
        for _ in range(rng.choice([1, 1, 4, 40])):
            content[rng.randrange(start, len(sound))] ^= 1 << rng.randrange(8)
        (folder / "a.parquet").write_bytes(content)
        try:
            data, _, _, reasons = read(folder, label_column="label")
        except GanrayError as error:
            lines.append(str(error))
            outcomes["refused"] += 1
            continue
        assert [value is None for value in data] == [reason is not None for reason in reasons]
        outcomes["some" if None in data else "whole"] += 1
    assert min(outcomes.values()) > 0, outcomes
    assert not [line for line in lines if "\n" in line]


def test_a_file_that_vanishes_before_it_is_read_costs_its_rows(tmp_path: Path) -> None:
    folder = write(tmp_path / "data", {"image": DATA}, {"image": DATA})
    source, store = ParquetSource(path=str(folder)), open_store(folder)
    rows = parquet_rows(store, source, column(source), read_footers(store, ["a.parquet", "b.parquet"], source, column(source)))
    (folder / "a.parquet").unlink()
    tables = [table for group in rows.groups for table in rows.read(group)]
    assert pa.concat_tables(tables)["data"].to_pylist() == [None] * 4 + DATA
    assert tables[0]["reason"].to_pylist() == ["the file has vanished"] * 4


def test_a_damaged_row_group_leaves_the_others(tmp_path: Path) -> None:
    images = [bytes([row]) * 500 for row in range(30)]
    folder = write(
        tmp_path / "data",
        {"image": images, "label": [row % 3 for row in range(30)]},
        row_group_size=10,
        write_page_checksum=True,
        use_dictionary=False,
    )
    content = bytearray((folder / "a.parquet").read_bytes())
    with BytesIO(content) as file:
        column = pq.ParquetFile(file).metadata.row_group(1).column(0)
        content[column.data_page_offset + column.total_compressed_size - 9] ^= 1
    (folder / "a.parquet").write_bytes(content)
    data, labels, classes, reasons = read(folder, label_column="label")
    assert (data[:10], data[10:20], data[20:]) == (images[:10], [None] * 10, images[20:])
    assert (labels[:3], labels[10:13], classes) == ([0, 1, 2], [-1] * 3, ["0", "1", "2"])
    assert "could not verify page integrity, CRC checksum verification failed" in str(reasons[10])
    assert "Traceback" not in str(reasons[10])


class BrokenFile(BytesIO):
    """A file of a store that fails once `works` reads are done."""

    works = 0

    def read(self, size: int | None = -1) -> bytes:
        self.works -= 1
        if self.works < 0:
            raise StorageError("storage", "cannot read from s3://bucket: no connection", "check the network")
        return super().read(size)


@pytest.mark.parametrize("works", range(3))
def test_a_storage_that_fails_is_no_damage(works: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(tmp_path / "data", {"image": DATA, "label": [1, 2, 1, 2]})
    source, store = ParquetSource(path=str(folder), label_column="label"), open_store(folder)
    content = store.read("a.parquet")
    rows = parquet_rows(store, source, column(source), read_footers(store, ["a.parquet"], source, column(source)))

    def open_broken(*_: object) -> BytesIO:
        file = BrokenFile(content)
        file.works = works
        return file

    monkeypatch.setattr("ganray.storage.local.LocalStore.open", open_broken)
    with pytest.raises(DataError, match=r"data\.source\.path: cannot read from s3://bucket: no connection; check the network"):
        list(rows.read(rows.groups[0]))
