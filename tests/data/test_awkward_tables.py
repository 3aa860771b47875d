"""Awkward tables, in CSV and in Parquet: each is read for what it is, or costs one line that names field and remedy."""

import json
import logging
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ganray.cli.display import StderrHandler
from ganray.config import CsvSource, ParquetSource
from ganray.data.sources.tables.csv import CsvFiles, _count, _no_rows
from ganray.data.sources.tables.rows import TRAIN, Part
from ganray.errors import ConfigError, GanrayError
from ganray.generation.formats.table import find_formulas
from ganray.modalities.table.codec import TableCodec, table_codec_from_json
from ganray.modalities.table.infer import LeftOut
from tests.helpers.tables import fit, listed

N = 200


def cells(*values: object) -> list[str]:
    """Return so many cells of a column, of which a few values follow one another."""
    return [str(values[row % len(values)]) for row in range(N)]


def csv_of(header: str, *columns: list[str]) -> str:
    return "\n".join([header, *(",".join(row) for row in zip(*columns, strict=True))]) + "\n"


DIGITS = cells(*range(7))
READ: dict[str, tuple[bytes, dict[str, Any], list[dict[str, str]]]] = {
    "old Mac lines": (b"a,b\r1,2\r3,4\r", {}, [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]),
    "a header of two lines": (b'"a\nb",c\n1,2\n', {}, [{"a\nb": "1", "c": "2"}]),
    "a byte order mark and quotes": (b'\xef\xbb\xbf"a","b"\n1,2\n', {}, [{"a": "1", "b": "2"}]),
    "utf-16": ("a,b\né,2\n".encode("utf-16"), {"encoding": "utf-16"}, [{"a": "é", "b": "2"}]),
    "a large cell": (b"a,b\n" + b"x" * 200_000 + b",2\n", {}, [{"a": "x" * 200_000, "b": "2"}]),
    "blank lines": (b"a,b\n\n1,2\n\n\n3,4\n", {}, [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]),
    "names for a header": (b",x,x\n0,1,2\n", {"names": ["k", "a", "b"], "header": True}, [{"k": "0", "a": "1", "b": "2"}]),
    "names without a header": (b"0,1\n2,3\n", {"names": ["a", "b"]}, [{"a": "0", "b": "1"}, {"a": "2", "b": "3"}]),
    "a header alone": (b"a,b\n", {}, []),
    "a header alone that does not end": (b"a,b", {}, []),
}


def opened(folder: Path, data: bytes, settings: dict[str, Any]) -> CsvFiles:
    (folder / "t.csv").write_bytes(data)
    files: CsvFiles = listed(CsvSource(path=str(folder / "t.csv"), **settings), 0.0).open.args[0]  # type: ignore[attr-defined]
    return files


@pytest.mark.parametrize("case", READ)
def test_a_file_is_read_for_what_it_is(case: str, tmp_path: Path) -> None:
    data, settings, expected = READ[case]
    parts = list(opened(tmp_path, data, settings).read("t.csv"))
    assert [row for rows, _ in parts for row in rows.to_pylist()] == expected
    assert not any(broken for _, broken in parts)


@pytest.mark.parametrize(
    ("data", "settings", "line"),
    [
        (b"", {}, "data.source.path: t.csv is empty; name CSV files"),
        (b" \n\n", {}, "data.source.path: t.csv is empty; name CSV files"),
        (b"\n\na,b\n1,2\n", {}, "data.source.path: the first line of t.csv is empty; remove it"),
        (b"a,a\n1,2\n", {}, "data.source.path (t.csv): two columns are called a; name all columns by data.source.names, with header: true"),
        (b",a\n0,1\n", {}, "column 1 has no name; name all columns by data.source.names, with header: true"),
        (b"a,b,\n0,1,\n", {}, "column 3 has no name; name all columns by data.source.names, with header: true"),
        (b"0,1\n", {"names": ["a", "a"]}, "data.source.names: two columns are called a; give each column a name of its own"),
        ("café,b\n1,2\n".encode("latin-1"), {}, "data.source.encoding: t.csv is not in utf-8; set it to the file's"),
        ("a,b\n1,é\n".encode("latin-1"), {}, "data.source.encoding: t.csv is not in utf-8; set it to the file's"),
        ("a,b\n1,2\n".encode("utf-16"), {}, "data.source.encoding: t.csv is in utf-16; use utf-16"),
        (b"a,b\n1,2\n", {"encoding": "utf-17"}, "data.source.encoding: there is no encoding utf-17; use utf-8"),
        (b"PAR1\x15\x00\xff\xfe", {}, "data.source.path: t.csv is no text; name CSV files; Parquet files have data.source.kind=parquet"),
        (b"a,b\n", {}, "t.csv has no rows; name a table that has"),
        (b"a,b", {}, "t.csv has no rows; name a table that has"),
        (
            b"# a comment\na,b\n1,2\n",
            {},
            "has no rows of 1 value, as many as the first line: t.csv, line 2 has 2 values instead of 1",
        ),
        (b"a,b\n1\n2\n", {}, "t.csv has no rows of 2 values, as many as the first line: t.csv, line 2 has 1 values instead of 2; repair"),
        (b'a,b\n"1,2\n3,4\n', {}, "t.csv has no rows of 2 values, as many as the first line: t.csv, line 2 has 1 values instead of 2"),
    ],
)
def test_a_file_that_is_no_table_is_one_line(data: bytes, settings: dict[str, Any], line: str, tmp_path: Path) -> None:
    with pytest.raises(GanrayError) as refused:
        count_rows(opened(tmp_path, data, settings))
    assert line in str(refused.value)


def count_rows(files: CsvFiles) -> None:
    """Do what preparation does first, in Ray tasks."""
    count = _count(files, "t.csv")
    assert not count.readable
    raise _no_rows(files, [f"t.csv, {count.first}"] if count.first else [])


def test_no_header_without_names_is_refused() -> None:
    with pytest.raises(ConfigError, match="header: is false, and there are no names; name the columns"):
        CsvSource(path="x", header=False)


def test_ragged_lines_are_counted_and_their_numbers_known(tmp_path: Path) -> None:
    text = "a,b\n" + "".join(f"{row},{row}{',9' if row % 50 == 3 else ''}\n" for row in range(N))
    files = opened(tmp_path, text.encode(), {})
    broken = [line for _, lines in files.read("t.csv") for line in lines]
    assert [number for number, _ in broken] == [5, 55, 105, 155]
    assert _count(files, "t.csv").broken == 4


FITTED: dict[str, tuple[list[str], str, list[str | None]]] = {  # cells, type, and cells as they come back
    "decimals of no fixed number": (cells("1.5", "2.25", "3"), "number", ["1.5", "2.25", "3.0"]),
    "grouped decimals": (cells("1,234.5", "2,345.25", "6.5"), "number", ["1,234.5", "2,345.25", "6.5"]),
    "scientific": (cells("1e-07", "2.5e+20", "3.0"), "number", ["1e-07", "2.5e+20", "3.0"]),
    "words for missing numbers": (cells("1.5", "NaN", "NA", "2.5"), "number", ["1.5", "NaN", "NA", "2.5"]),
    "mostly missing": (cells("7", "?", "?", "?", "?"), "integer", ["7", "?", "?", "?"]),
    "missing throughout, by a word": (cells("NaN"), "category", ["NaN"]),
    "true, false and NA": (cells("true", "false", "NA"), "category", ["true", "false", "NA"]),
    "infinities among numbers": ([*cells("1.5", "2.5")[:-2], "inf", "-inf"], "number", ["1.5", "2.5"]),
    "dates of two formats": (cells("2020-01-02", "02/01/2020"), "category", ["2020-01-02", "02/01/2020"]),
    "days that do not exist": (cells("2020-02-31", "2020-01-05"), "category", ["2020-02-31", "2020-01-05"]),
    "the first and the last day": (cells("0001-01-01", "9999-12-31", "1500-06-07"), "date", ["0001-01-01", "9999-12-31", "1500-06-07"]),
    "account numbers": (cells(*(9223372036854775807 - 10**16 * row for row in range(5))), "category", ["9223372036854775807"]),
    "beyond floats": (cells("1e308", "-1e308"), "category", ["1e308", "-1e308"]),
    "nearly 0": (cells("1e-310", "2", "3.5"), "number", ["0.0", "2.0", "3.5"]),
    "negative zero": (cells("-0", "0", "1"), "integer", ["0", "0", "1"]),
    "constant number": (cells("5"), "integer", ["5"]),
    "constant text": (cells("x"), "category", ["x"]),
    "quotes and lines": (cells('say "a"', "two\nlines", "a,b"), "category", ['say "a"', "two\nlines", "a,b"]),
    "formulas": (cells("=1+1", "@SUM(A1)", "plain"), "category", ["=1+1", "@SUM(A1)", "plain"]),
    "other digits": (cells("١٢", "٣"), "category", ["١٢", "٣"]),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("case", FITTED)
def test_cells_come_back_as_they_are(case: str) -> None:
    values, kind, expected = FITTED[case]
    table = pa.table({"x": values, "y": DIGITS})
    codec = fit(table)
    assert codec.by_name["x"].type == kind
    assert table_codec_from_json(json.loads(json.dumps(codec.to_json()))) == codec
    assert codec.texts(codec.encode(table))["x"].to_pylist()[: len(expected)] == expected
    codes = np.stack([np.random.default_rng(0).integers(0, column.num_codes, N) for column in codec.columns], axis=1).astype(np.uint16)
    written = [text for text in codec.texts(codes)["x"].to_pylist() if text is not None]
    assert not [text for text in written if "float64" in text or (text in ("nan", "inf") and text not in values)]
    codec.rows(codes)


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ({"x": cells("")}, "the table has no column to learn (x: without values)"),
        ({"x": [str(row) for row in range(N)]}, "the table has no column to learn (x: an identifier)"),
        ({f"c{place}": DIGITS for place in range(9)}, "expected at most 8 columns to learn, the table has 9; set those to exclude"),
    ],
)
def test_a_table_of_nothing_to_learn_or_of_too_much_is_one_line(
    columns: dict[str, list[str]], problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ganray.modalities.table.fitting.MAX_COLUMNS", 8)
    with pytest.raises(GanrayError) as refused:
        fit(pa.table(columns))
    assert problem in str(refused.value)


@pytest.mark.parametrize(("number", "is_learned"), [(10_000, True), (10_001, False)])
def test_ten_thousand_categories_are_learned_and_more_are_left_out(number: int, is_learned: bool) -> None:
    values = [f"c{row % number}" for row in range(3 * number)]
    codec = fit(pa.table({"x": values, "y": cells(*"abc") * (3 * number // N) + cells(*"abc")[: 3 * number % N]}))
    assert ("x" in codec.by_name) is is_learned
    assert codec.left_out == (() if is_learned else (LeftOut("x", "free text: 10,001 different values"),))


TYPED: dict[str, tuple[pa.Array, list[Any]]] = {  # Arrow columns, and the first of them as they come back in their type
    "not-a-number": (pa.array([1.5, float("nan"), 2.5, float("inf")] * 50), [1.5, None, 2.5, None]),
    "large floats": (pa.array([1e308, 2.0] * 100), [None, 2.0]),
    "hashes": (pa.array([2**64 - 1 - row % 50 for row in range(N)], pa.uint64()), [2**64 - 1, 2**64 - 2]),
    "decimals": (pa.array([Decimal("1.10") * (row % 30) for row in range(N)]), [0.0, 1.1]),
    "the years 1 to 9999": (pa.array([10**15, 0, 86_400] * 66, pa.timestamp("s")), [None]),
    "nulls among booleans": (pa.array([True, None] * 100), [True, None]),
    "half floats": (pa.array(np.array([1.5, 2.0] * 100, np.float16)), [1.5, 2.0]),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("case", TYPED)
def test_columns_of_parquet_files_keep_type_and_values(case: str) -> None:
    column, expected = TYPED[case]
    table = pa.table({"x": column, "y": DIGITS[: len(column)]})
    codec = fit(table)
    found = codec.rows(codec.encode(table))["x"]
    assert found.to_pylist()[: len(expected)] == pytest.approx(expected)
    assert not pa.types.is_string(found.type)


@pytest.mark.parametrize("column", [pa.array([float("nan")] * N), pa.array([float("inf")] * N), pa.nulls(N, pa.float64())])
def test_a_column_of_all_missing_is_left_out(column: pa.Array) -> None:
    assert fit(pa.table({"x": column, "y": DIGITS})).left_out == (LeftOut("x", "without values"),)


def test_the_views_of_polars_are_read_as_texts(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": pa.array(["a", "b"] * 100, pa.string_view()), "y": list(range(N))}), tmp_path / "t.parquet")
    files = listed(ParquetSource(path=str(tmp_path)), 0.0).open.args[0]  # type: ignore[attr-defined]
    assert files.schema.types == [pa.string(), pa.int64()]
    (rows,) = files.read(Part("t.parquet", 0, 0, TRAIN))
    assert rows["data"][1].as_py() == {"x": "b", "y": 1}


def test_columns_of_parquet_files_without_a_name_of_their_own_are_one_line(tmp_path: Path) -> None:
    pq.write_table(pa.table([[1], [2]], names=["a", " a"]), tmp_path / "t.parquet")
    with pytest.raises(GanrayError, match="two columns are called a; name the columns when the files are written"):
        listed(ParquetSource(path=str(tmp_path)), 0.0)


@pytest.mark.parametrize(
    ("name", "values", "formulas"),
    [
        ("x", ["=1+1", "+cmd|x", "@SUM(A1)", "-2+3", "\tx"], ["+cmd|x", "-2+3", "=1+1", "@SUM(A1)"]),
        ("x", ["-5", "+3", "-1e5"], []),
        ("=x", ["a", "b"], ["=x"]),
        ("x", ["a=b", "c"], []),
    ],
)
def test_texts_that_a_spreadsheet_would_run_are_known(name: str, values: list[str], formulas: list[str]) -> None:
    codec: TableCodec = fit(pa.table({name: cells(*values), "y": DIGITS}))
    assert find_formulas(codec) == formulas


def test_a_name_from_a_file_cannot_control_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    logger, handler = logging.getLogger("ganray.test"), StderrHandler()
    logger.addHandler(handler)
    logger.warning("column %s is left out", "\x1b[31ma")
    logger.removeHandler(handler)
    assert capsys.readouterr().err == "column \\x1b[31ma is left out\n"
