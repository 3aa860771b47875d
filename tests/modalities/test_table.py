"""Tables: types that are found, codes and back, formats, rules, and what is refused."""

import json
import logging
from io import BytesIO
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from ganray.config.fields import FieldError
from ganray.config.modalities.table import Ordered, Sum, TableModality, Unique, parse_rule
from ganray.errors import ConfigError, DataError
from ganray.modalities.table.codec import TableCodec, table_codec_from_json
from ganray.modalities.table.column import NUM_LEVELS, NumberColumn
from ganray.modalities.table.fitting import TableFitting
from ganray.modalities.table.preview import preview_png
from tests.helpers.tables import fit as fit_table

N = 400
RANDOM = np.random.default_rng(0)


def fit(data: dict[str, Any], /, **settings: Any) -> TableCodec:
    return fit_table(pa.table(data), **settings)


def back(codec: TableCodec, columns: dict[str, Any]) -> dict[str, list[Any]]:
    return codec.texts(codec.encode(pa.table(columns))).to_pydict()


def texts(values: Any) -> list[str]:
    return [str(value) for value in values]


FOUND = {
    "integer": (texts(RANDOM.integers(0, 10_000, N)), "integer"),
    "few integers": (texts(RANDOM.integers(0, 5, N)), "integer"),
    "number": ([f"{value:.2f}" for value in RANDOM.normal(100, 20, N)], "number"),
    "grouped": ([f"{value:,}" for value in RANDOM.integers(0, 10_000_000, N)], "integer"),
    "dollars": ([f"${value:,.2f}" for value in RANDOM.uniform(0, 5000, N)], "number"),
    "percent": ([f"{value}%" for value in RANDOM.integers(0, 100, N)], "integer"),
    "negative": (texts(RANDOM.integers(-50, 50, N)), "integer"),
    "date": ([str(np.datetime64("2020-01-01") + int(day)) for day in RANDOM.integers(0, 900, N)], "date"),
    "american": ([f"{m}/{d}/2021" for m, d in zip(RANDOM.integers(1, 13, N), RANDOM.integers(1, 28, N), strict=True)], "date"),
    "time": ([f"2021-03-{d:02d} {h:02d}:30:00" for d, h in zip(RANDOM.integers(1, 28, N), RANDOM.integers(0, 24, N), strict=True)], "date"),
    "boolean": (["yes", "no"] * (N // 2), "boolean"),
    "category": (["red", "green", "blue", "blue"] * (N // 4), "category"),
    "zip code": ([f"0{value}" for value in RANDOM.integers(1000, 1050, N)], "category"),
    "emoji": (["🍐", "שלום", "cafe\u0301", "a b"] * (N // 4), "category"),
    "quoted": (['say "hi"', "a,b", "two\nlines", "c"] * (N // 4), "category"),
}


@pytest.mark.parametrize("case", FOUND)
def test_a_type_is_found_and_values_keep_their_format(case: str) -> None:
    values, kind = FOUND[case]
    codec = fit({"x": values})
    (column,) = codec.columns
    assert column.type == kind
    found = back(codec, {"x": values})["x"]
    if isinstance(column, NumberColumn) and column.values and not column.bounds:  # quantiles are interpolated
        assert {len(text.rstrip("%").partition(".")[2]) for text in found} == {len(values[0].rstrip("%").partition(".")[2])}
        near = column.numbers(column.encode(pa.array(values))) - column.numbers(column.encode(pa.array(found)))
        assert np.abs(near).max() <= 0.05 * np.ptp(column.level_values)
    else:
        assert found == values


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (texts(range(N)), "identifier"),
        ([f"user-{value}" for value in range(N)], "identifier"),
        ([f"words {value % 300}" for value in range(N)], "free text"),
        ([""] * N, "without values"),
    ],
)
def test_identifiers_and_free_text_are_left_out_with_a_warning(values: list[str], reason: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        codec = fit({"y": ["a", "b"] * (N // 2), "x": values})
    assert [column.name for column in codec.columns] == ["y"]
    assert reason in codec.left_out[0].reason
    assert reason in caplog.text


def test_the_job_has_the_last_word_on_types() -> None:
    columns = {"id": texts(range(N)), "code": texts(RANDOM.integers(0, 900, N)), "gone": ["a"] * N}
    codec = fit(columns, columns={"id": "integer", "code": "category", "gone": "exclude"})
    assert [(column.name, column.type) for column in codec.columns] == [("id", "integer"), ("code", "category")]
    with pytest.raises(ConfigError, match=r"data.modality.columns.gone: it is no column of type number"):
        fit(columns, columns={"gone": "number"})
    with pytest.raises(ConfigError, match="there is no such column"):
        fit(columns, columns={"goner": "number"})


def test_missing_values_words_and_point_masses_come_back_as_often() -> None:
    gains = np.where(RANDOM.random(4000) < 0.7, 0.0, np.round(RANDOM.lognormal(8, 1.5, 4000), 2))  # a point mass and a long tail
    values = ["" if n % 10 == 0 else "unknown" if n % 25 == 1 else f"{gain:.2f}" for n, gain in enumerate(gains)]
    codec = fit({"gain": values})
    (column,) = codec.columns
    assert isinstance(column, NumberColumn)
    assert set(column.specials) == {None, "unknown", 0.0}
    found = back(codec, {"gain": values})["gain"]
    assert [text is None for text in found] == [value == "" for value in values]
    assert [text == "0.00" for text in found] == [value == "0.00" for value in values]
    assert found.count("unknown") == values.count("unknown")
    tail = np.quantile([float(value) for value in values if value not in ("", "unknown", "0.00")], [0.5, 0.9, 0.99, 1.0])
    again = np.quantile([float(text) for text in found if text not in (None, "unknown", "0.00")], [0.5, 0.9, 0.99, 1.0])
    assert np.allclose(again, tail, rtol=0.02)


def test_a_value_lies_anywhere_among_its_levels_and_equal_rows_lie_alike() -> None:
    columns = {
        "age": texts(RANDOM.integers(20, 60, 4000)),
        "city": texts(RANDOM.integers(0, 900, 4000)),
        "z": texts(RANDOM.normal(size=4000)),
    }
    codec = fit(columns)
    codes = codec.encode(pa.table(columns))
    assert len(np.unique(codes[:, 0])) > 1000
    assert np.array_equal(codes, codec.encode(pa.table(columns)))
    levels = np.sort(codes[:, 0]) / NUM_LEVELS
    assert np.abs(levels - np.linspace(0, 1, 4000)).max() < 0.05  # uniform, as a quantile is


def test_parquet_types_come_back() -> None:
    table = pa.table(
        {
            "i": pa.array(RANDOM.integers(0, 300, N), pa.int16()),
            "f": pa.array(RANDOM.normal(size=N).astype(np.float32)),
            "b": pa.array(RANDOM.random(N) < 0.5),
            "d": pa.array(np.datetime64("2020-01-01") + RANDOM.integers(0, 900, N).astype("timedelta64[D]")),
            "t": pa.array([1_600_000_000_000_000 + int(second) * 1_000_000 for second in RANDOM.integers(0, 9e6, N)], pa.timestamp("us")),
            "s": pa.array(["a", None, "c", "d"] * (N // 4)),
            "k": pa.array(["x", "y"] * (N // 2)).dictionary_encode(),
            "n": pa.array([None if number % 7 == 0 else number % 300 for number in range(N)], pa.int64()),
        }
    )
    fitting = TableFitting(TableModality(), N)
    codec = fitting.codec([fitting.observe(table.to_struct_array().combine_chunks())])
    rows = codec.rows(codec.encode(table))
    assert rows.schema.types[:6] == table.schema.types[:6]
    assert rows["n"].null_count == table["n"].null_count
    for name in ("i", "b", "s", "n"):
        assert rows[name].to_pylist() == table[name].to_pylist()


def test_types_found_in_texts_are_those_of_parquet_output() -> None:
    columns = {name: FOUND[name][0] for name in ("integer", "number", "date", "time", "boolean", "category")}
    codec = fit(columns)
    kinds = codec.rows(codec.encode(pa.table(columns))).schema.types
    assert kinds == [pa.int64(), pa.float64(), pa.date32(), pa.timestamp("us"), pa.bool_(), pa.string()]


def test_a_column_of_thousands_of_categories_is_small_and_knows_values_it_has_not_seen() -> None:
    cities = [f"city {number * number % 3001}" for number in range(12_000)]
    codec = fit({"city": cities, "y": ["a", "b"] * 6000})
    assert back(codec, {"city": cities[:100], "y": ["a"] * 100})["city"] == cities[:100]
    unknown = codec.encode(pa.table({"city": ["Atlantis", "Atlantis"], "y": ["a", "c"]}))
    assert unknown[0, 0] == unknown[1, 0] < codec.columns[0].num_choices


def test_two_hundred_columns() -> None:
    columns = {f"c{number}": texts(RANDOM.integers(0, 1000, N)) for number in range(200)}
    codec = fit(columns)
    assert codec.shape == (200,)
    assert table_codec_from_json(json.loads(json.dumps(codec.to_json()))) == codec


def test_a_codec_is_read_back_and_held_against_bounds() -> None:
    codec = fit({"a": FOUND["number"][0], "b": FOUND["category"][0], "c": FOUND["american"][0]}, rules=["unique a, b"])
    data = json.loads(json.dumps(codec.to_json()))
    assert table_codec_from_json(data) == codec
    for broken in ({**data, "columns": []}, {**data, "rules": ["a <= z"]}, {**data, "rules": ["nonsense"]}, {"kind": "table"}):
        with pytest.raises(ValueError, match=r"\w"):
            table_codec_from_json(broken)
    wrong = json.loads(json.dumps(data))
    wrong["columns"][1]["values"] = []
    with pytest.raises(ValueError, match="do not fit together"):
        table_codec_from_json(wrong)


def test_orders_and_sums_hold_as_they_are_written() -> None:
    low, high = RANDOM.uniform(0, 100, (2, N))
    columns = {
        "low": [f"{value:.2f}" for value in low],
        "high": ["" if place % 9 == 0 else str(round(value)) for place, value in enumerate(high)],
        "a": texts(RANDOM.integers(0, 999, N)),
        "b": [f"{value:.1f}" for value in RANDOM.uniform(0, 9, N)],
        "total": texts(RANDOM.integers(0, 1000, N)),
    }
    codec = fit(columns, rules=["low <= high", "total = a + b"])
    rows = back(codec, columns)
    assert all(high is None or float(low) <= float(high) for low, high in zip(rows["low"], rows["high"], strict=True))
    assert [high is None for high in rows["high"]] == [value == "" for value in columns["high"]]
    assert all(len(text.partition(".")[2]) == 2 for text in rows["low"])
    assert all(text is None or text.isdigit() for text in rows["high"])
    assert all(abs(float(t) - float(a) - float(b)) < 1e-9 for t, a, b in zip(rows["total"], rows["a"], rows["b"], strict=True))


def test_rules_are_parsed_and_held_against_the_columns(caplog: pytest.LogCaptureFixture) -> None:
    assert parse_rule("low price <= high price") == Ordered(("low price", "high price"))
    assert parse_rule("total = a + b") == Sum("total", ("a", "b"))
    assert parse_rule("unique a, b") == Unique(("a", "b"))
    for wrong in ("low", "a <=", "= a", "a = b +", "a <= a"):
        with pytest.raises(FieldError, match="is no rule"):
            parse_rule(wrong)
    with pytest.raises(ConfigError, match="stands in two of them"):
        TableModality(rules=["a <= b", "b <= c"])
    columns = {"a": FOUND["integer"][0], "b": FOUND["integer"][0][::-1], "c": FOUND["category"][0], "d": FOUND["date"][0]}
    for rule, problem in (("a <= z", "no column z"), ("a <= c", "c is a category"), ("a <= d", "different types")):
        with pytest.raises(ConfigError, match=problem):
            fit(columns, rules=[rule])
    with caplog.at_level(logging.WARNING):
        fit(columns, rules=["a <= b"])
    assert "the rule a <= b holds in" in caplog.text


def test_what_is_no_table_is_one_line() -> None:
    with pytest.raises(DataError, match="no column to learn"):
        fit({"id": texts(range(N))})
    with pytest.raises(ConfigError, match="no column where"):
        fit({"y": ["a", "b"] * 200}, target="where")


def test_a_preview_shows_rows_and_histograms() -> None:
    columns = {"x" * 50: FOUND["number"][0], "y": FOUND["category"][0], "c": ["only"] * N, "n": FOUND["few integers"][0]}
    codec = fit(columns)
    data = preview_png(codec, codec.encode(pa.table(columns)), {"ganray": "record"})
    image = Image.open(BytesIO(data))
    assert image.text == {"ganray": "record"}  # type: ignore[attr-defined]
    assert len(image.getcolors(10_000) or []) > 3
