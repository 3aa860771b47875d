"""Parquet files of images, sounds and videos are traced row by row: a file, an index or a row that is another's is found and named."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import safetensors.torch
from click.testing import CliRunner

from ganray.cli import group
from ganray.config import DcganNetworks
from ganray.errors import DataError
from ganray.gan.networks import build_networks
from ganray.gan.prior import Prior
from ganray.generation.batch import generate
from ganray.generation.provenance import provenance
from ganray.modalities.image import encode_png, pixels_of
from ganray.modalities.image_codec import ImageCodec
from ganray.registry.generator_config import generator_config
from ganray.registry.manifest import CONFIG, GENERATOR, METRICS, to_json
from ganray.registry.registry import Registry
from ganray.storage import open_store
from tests.generation.test_formats import KINDS, published
from tests.helpers.artifacts import PROTOCOL, publish

Rows = list[dict[str, Any]]


def images(folder: Path, channels: int) -> str:
    """Publish a generator of images that nobody trained, and return its version's URI."""
    networks, shape = DcganNetworks(width=8, latent_dim=8, ghost_batch=4), (channels, 16, 16)
    generator, _ = build_networks(networks, shape, seed=0)
    files = {
        GENERATOR: safetensors.torch.save(
            {name: 8 * tensor if tensor.ndim == 4 else tensor for name, tensor in generator.state_dict().items()}
        ),
        CONFIG: to_json(generator_config(networks, ImageCodec.of_shape(shape), Prior(8), None)),
        METRICS: to_json({"scores": {"metric/frechet": 1.0}, "protocol": PROTOCOL.dump()}),
    }
    registry = Registry(open_store(str(folder)))
    return registry.model("m").child(registry.publish("m", files, {"images_seen": 1}, key="1")).uri


@pytest.mark.parametrize("kind", [*KINDS, "images of 1", "images of 2", "images of 3", "images of 4"])
def test_a_whole_file_is_traced_and_each_of_its_rows_counts(kind: str, tmp_path: Path) -> None:
    num = 70 if kind.startswith("images") else 5
    uri = images(tmp_path / "store", int(kind[-1])) if kind.startswith("images") else published(tmp_path / "store", kind)
    out = generate(uri, num=num, seed=3, out=tmp_path / "x.parquet", local=True)
    found = provenance(out, storage=str(tmp_path / "store"))
    assert (found["num"], found["seed"], found["largest_difference"], found["samples"]) == (num, 3, 0, f"samples 0 to {num - 1}")
    assert found["tolerance"] != "none"
    edited(out, lambda rows, column: swap(rows, num - 1, 0, column))
    with pytest.raises(DataError, match=rf"that has 2 other rows: row 1 has differences of up to .*; row {num} has differences"):
        provenance(out, storage=str(tmp_path / "store"))


@pytest.mark.parametrize("channels", [2, 4])
def test_an_image_with_transparency_is_traced(channels: int, tmp_path: Path) -> None:
    generate(images(tmp_path / "store", channels), num=2, seed=0, out=tmp_path / "out", local=True)
    assert provenance(tmp_path / "out/000001.png", storage=str(tmp_path / "store"))["largest_difference"] == 0


def edited(file: Path, change: Callable[[Rows, str], object]) -> Path:
    """Write a file anew with other rows."""
    table = pq.read_table(file)
    rows = table.to_pylist()
    change(rows, table.column_names[1])
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), file)
    return file


def swap(rows: Rows, left: int, right: int, column: str) -> None:
    rows[left][column], rows[right][column] = rows[right][column], rows[left][column]


def brighter(rows: Rows, column: str, levels: int) -> None:
    """Change a pixel of the third image."""
    pixels = pixels_of(rows[2][column]["bytes"]).copy()
    pixels[0, 3, 3] = pixels[0, 3, 3] + levels if pixels[0, 3, 3] < 128 else pixels[0, 3, 3] - levels
    rows[2][column] = {"bytes": encode_png(pixels), "path": None}


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A Parquet file of ten images of a version in the folder `store` beside it."""
    publish(Registry(open_store(str(tmp_path / "store"))), 1.0)
    return generate(str(tmp_path / "store/models/m/0001"), num=10, seed=0, out=tmp_path / "x.parquet", local=True)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda rows, column: rows.pop(), "that has 10 rows, not 9"),
        (lambda rows, column: rows.append(rows[0]), "that has 10 rows, not 11"),
        (lambda rows, column: rows.insert(0, rows.pop()), "10 other rows: row 1 has the index 0, not 9; .*; and so on"),
        (lambda rows, column: rows[4].update(index=None), "1 other row: row 5 has the index 4, not None"),
        (lambda rows, column: brighter(rows, column, 9), "1 other row: row 3 has differences of up to 9 grey levels; do not trust"),
        (lambda rows, column: rows[1].update({column: {"bytes": b"\x89PNG\r\n", "path": None}}), "the image in row 2 cannot be read"),
        (lambda rows, column: rows[1].update({column: None}), r"the image in row 2 cannot be read \(there is nothing to read\)"),
        (lambda rows, column: rows[1].update({column: {"bytes": None, "path": "a.png"}}), "the image in row 2 cannot be read"),
    ],
)
def test_a_row_that_is_another_one_is_found_and_named(made: Path, change: Callable[[Rows, str], object], problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        provenance(edited(made, change), storage=str(made.parent / "store"))


def test_a_grey_level_is_rounding_and_is_said(made: Path) -> None:
    edited(made, lambda rows, column: brighter(rows, column, 1))
    done = CliRunner().invoke(group, ["provenance", str(made), "--storage", str(made.parent / "store")])
    assert done.exit_code == 0, done.output
    assert "equal within 1 grey level\nmachines round differently; the tolerance is 1 grey level\n" in done.output


def test_a_record_that_lies_is_found_out(made: Path) -> None:
    table = pq.read_table(made)
    for field, value, problem in (
        ("seed", 1, "10 other rows: row 1 has differences"),
        ("index", 3, "10 other rows: row 1 has the index 3, not 0"),
        ("num", 11, "that has 11 rows, not 10"),
        ("num", 3_000_000, "claims 3000000 samples, more than 1000000"),
    ):
        record = json.dumps({**json.loads(table.schema.metadata[b"ganray"]), field: value})
        pq.write_table(table.replace_schema_metadata({"ganray": record}), made)
        with pytest.raises(DataError, match=problem):
            provenance(made, storage=str(made.parent / "store"))


def test_other_columns_and_damaged_files_are_one_line(made: Path) -> None:
    store, table, data = str(made.parent / "store"), pq.read_table(made), made.read_bytes()
    for other, problem in (
        (table.drop_columns(["index"]), r"that has the columns 'index \(int64\), image \(struct"),
        (table.append_column("x", [[1] * 10]), "that has the columns 'index"),
        (table.set_column(0, "index", table["index"].cast(pa.int32())), "that has the columns 'index"),
    ):
        pq.write_table(other.replace_schema_metadata(table.schema.metadata), made)
        with pytest.raises(DataError, match=problem):
            provenance(made, storage=store)
    for number in (len(data) // 3, len(data) // 2):
        made.write_bytes(data[:number] + bytes(60) + data[number + 60 :])
        with pytest.raises(DataError, match=r"cannot be read|other rows?: row"):
            provenance(made, storage=store)
