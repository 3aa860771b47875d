"""Sources of tables: what CSV and Parquet files are taken for, rows that are held out, and one line for each mistake."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ganray.config import CsvSource, ParquetSource
from ganray.config.modalities.table import TableModality
from ganray.data.sources.rows import Listing
from ganray.data.sources.tables.csv import CsvFiles, sniff
from ganray.data.sources.tables.rows import HOLDOUT, TRAIN, Split
from ganray.errors import DataError
from ganray.modalities.table.fitting import TableFitting
from tests.helpers.tables import listed


def files_of(listing: Listing) -> CsvFiles:
    found: CsvFiles = listing.open.args[0]  # type: ignore[attr-defined]
    return found


def rows_of(folder: Path, name: str = "t.csv", **settings: Any) -> tuple[list[dict[str, Any]], list[tuple[int, str]]]:
    """Return the rows that a file is read as, and the lines that are none."""
    files = files_of(listed(CsvSource(path=str(folder / name), **settings), 0.0))
    parts = list(files.read(name))
    return pa.concat_tables([rows for rows, _ in parts]).to_pylist(), [broken for _, some in parts for broken in some]


def write(folder: Path, text: str | bytes, name: str = "t.csv") -> Path:
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


CASES: dict[str, tuple[str | bytes, dict[str, Any], list[dict[str, Any]]]] = {
    "byte order mark": ("\ufeffname,age\nAda,36\n", {}, [{"name": "Ada", "age": "36"}]),
    "quotes": ('a,b\n"x, ""y""","two\nlines"\n', {}, [{"a": 'x, "y"', "b": "two\nlines"}]),
    "semicolons": ("a;b\n1,5;2\n2,5;3\n", {}, [{"a": "1,5", "b": "2"}, {"a": "2,5", "b": "3"}]),
    "tabs, CRLF": ("a\tb\r\n1\t2\r\n", {}, [{"a": "1", "b": "2"}]),
    "no header": ("1,2\n3,4\n", {"names": ["a", "b"]}, [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]),
    "latin-1": ("a,b\né,ß\n".encode("latin-1"), {"encoding": "latin-1"}, [{"a": "é", "b": "ß"}]),
    "mixed types and empty cells": ("a,b\n1,\nx,2.5\n", {}, [{"a": "1", "b": ""}, {"a": "x", "b": "2.5"}]),
    "one column": ("a\n1\n2\n", {}, [{"a": "1"}, {"a": "2"}]),
    "emoji and right to left": ("a,b\n🍐,שלום\n", {}, [{"a": "🍐", "b": "שלום"}]),
}


@pytest.mark.parametrize("case", CASES)
def test_a_csv_file_is_read_as_it_is_meant(case: str, tmp_path: Path) -> None:
    text, settings, expected = CASES[case]
    assert rows_of(write(tmp_path, text), **settings) == (expected, [])


def test_a_gzipped_file_and_several_files_are_read(tmp_path: Path) -> None:
    write(tmp_path, gzip.compress(b"a,b\n1,2\n"), "t.csv.gz")
    assert rows_of(tmp_path, "t.csv.gz")[0] == [{"a": "1", "b": "2"}]
    write(tmp_path, "a,b\n1,2\n", "x.csv")
    write(tmp_path, "a,c\n1,2\n", "y.csv")
    with pytest.raises(DataError, match=r"y.csv has other columns than x.csv"):
        listed(CsvSource(path=str(tmp_path)), 0.1)


def test_lines_that_are_no_rows_are_named(tmp_path: Path) -> None:
    rows, broken = rows_of(write(tmp_path, "a,b\n1,2\n1,2,3\n4,5\n6\n"))
    assert rows == [{"a": "1", "b": "2"}, {"a": "4", "b": "5"}]
    assert [reason for _, reason in broken] == ["has 3 values instead of 2", "has 1 values instead of 2"]
    assert [number for number, _ in broken] == [3, 5]


@pytest.mark.parametrize(
    ("text", "settings", "problem"),
    [
        ("", {}, "is empty"),
        (b"PAR1\x00\x00\x15\x04", {}, "is no text"),
        ("a,a\n1,2\n", {}, "two columns are called a"),
        ("a,,c\n1,2,3\n", {}, "column 2 has no name"),
        ("1,2\n", {"names": ["a"]}, "expected as many as the columns of t.csv, 2, got 1"),
        ("a\n1\n", {"encoding": "klingon"}, "there is no encoding klingon"),
    ],
)
def test_a_mistake_is_one_line(text: str | bytes, settings: dict[str, Any], problem: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=problem):
        rows_of(write(tmp_path, text), **settings)


def test_another_encoding_is_found_while_reading(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data.source.encoding: t.csv is not in utf-8"):
        rows_of(write(tmp_path, "a,b\né,ß\n".encode("latin-1")))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"there are no .csv files"):
        listed(CsvSource(path=str(tmp_path / "empty")), 0.1)


def test_delimiters_are_found_from_lines() -> None:
    assert [sniff(text) for text in ("a,b\n1,2\n", "a;b\n1,0;2\n", "a\tb\n", "a|b|c\n1|2|3\n", "a\n1\n")] == [",", ";", "\t", "|", ","]


def test_rows_are_held_out_evenly_and_never_twice() -> None:
    rows = pa.table({"a": list(range(1000))})
    split = Split.of(1000, 0.1)
    train, numbers = split.select(rows, 0, TRAIN)
    held_out, others = split.select(rows, 0, HOLDOUT)
    assert (train.num_rows, held_out.num_rows) == (900, 100) == (900, split.num_held_out(1000))
    assert sorted([*numbers.tolist(), *others.tolist()]) == list(range(1000))
    again = [split.select(rows.slice(start, 7), start, HOLDOUT)[0] for start in range(0, 1000, 7)]
    assert pa.concat_tables(again).equals(held_out)
    assert Split.of(500, 0.1).stride == 0  # too few to say anything
    assert Split.of(10_000_000, 0.1).num_held_out(10_000_000) <= 20_000


def test_a_damaged_or_different_parquet_file_is_one_line(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1, 2]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"a": ["1"]}), tmp_path / "b.parquet")
    with pytest.raises(DataError, match=r"b.parquet has other columns, or types, than a.parquet"):
        listed(ParquetSource(path=str(tmp_path)), 0.1)
    (tmp_path / "b.parquet").write_bytes(b"PAR1 and nothing else")
    with pytest.raises(DataError, match=r"b.parquet is damaged"):
        listed(ParquetSource(path=str(tmp_path)), 0.1)


@pytest.mark.cluster
@pytest.mark.usefixtures("ray_address")
def test_both_sources_give_the_same_rows_and_those_held_out_last(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    table = pa.table({"n": random.integers(0, 50, 1500), "k": random.choice(["a", "b"], 1500), "m": random.normal(size=1500).round(2)})
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=400)
    lines = ["n,k,m", *(",".join(str(value) for value in row.values()) for row in table.to_pylist()), "bad line"]
    write(tmp_path, "\n".join(lines))
    of_csv = listed(CsvSource(path=str(tmp_path / "t.csv")), 0.1).open()
    of_parquet = listed(ParquetSource(path=str(tmp_path / "t.parquet")), 0.1).open()
    assert (of_csv.count, of_csv.num_held_out, of_parquet.count, of_parquet.num_held_out) == (1501, 150, 1500, 150)
    found = [rows.dataset.take_all() for rows in (of_csv, of_parquet)]
    data = [[row["data"] for row in rows if row["data"] is not None] for rows in found]
    assert [row["reason"] for row in found[0] if row["data"] is None] == ["has 1 values instead of 3"]
    assert [{key: str(value) for key, value in row.items()} for row in data[1]] == data[0]
    held_out = table.take(pa.array(range(9, 1500, 10))).to_pylist()
    assert data[1][1350:] == held_out
    fitting = TableFitting(TableModality(), 1500)
    codec = fitting.codec([fitting.observe(pa.array(data[0]))])
    assert [column.type for column in codec.columns] == ["integer", "category", "number"]
