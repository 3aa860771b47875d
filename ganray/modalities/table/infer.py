"""Column types found from values: numbers, integers, dates, booleans and categories; identifiers and free text are left out."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ganray.modalities.table.column import CategoryColumn, Column, ColumnType, NumberColumn, Numbers, knots
from ganray.modalities.table.encoding import NUM_LEVELS
from ganray.modalities.table.texts import DATE_FORMATS, DAY_S, MAX_DIGITS, NumberFormat, as_numbers, as_texts

MAX_CATEGORIES = 10_000
MAX_WORDS = 10  # different words between the numbers of a column
MIN_NUMERIC = 0.9  # of a column's values, for it to be one of numbers
MISSING = ("na", "n/a", "nan", "#n/a", "null", "none", "nil", "?", "-", ".")  # words for missing values, which do not count for that
CODE = rf"^[+-]?(0\d|\d{{{MAX_DIGITS + 1}}})"  # of texts that look like numbers
MAX_CHOICES = 20  # different numbers that are all choices, without levels
MAX_MASSES = 30  # point masses of a column
MIN_MASS, MASS_RATIO = 0.01, 5  # a point mass's share of the values, and how much more frequent it is than the median value
MAX_VALUES, MIN_REPEATS = 1000, 3  # of a column whose numbers are stored rather than its quantiles
MAX_DISTINCT = 0.5  # fraction of different values beyond which texts are identifiers or free text
MIN_ROWS = 50  # fewer cannot tell an identifier
MAX_DECIMALS = 6
BOOLEANS = ({"true", "false"}, {"yes", "no"}, {"t", "f"}, {"y", "n"})
IDENTIFIER = re.compile(r"(^|[_\s-])(id|uuid|guid|key|index)$|Id$|ID$", re.ASCII)
AFFIXES = ("$", "€", "£", "%")


@dataclass(frozen=True)
class LeftOut:
    """A column that is not learned, and why."""

    name: str
    reason: str


def fit_column(name: str, column: pa.Array, wanted: ColumnType | Literal["auto"] = "auto", date: str | None = None) -> Column | LeftOut:
    """Return a column of the wanted type fitted to its values [N], or of the type that they suggest; or why it is left out.

    `date` is the format of dates. Raises ValueError, with the reason, if values are not of the wanted type.
    """
    if not _is_scalar(column.type):
        return LeftOut(name, f"of type {column.type}")
    texts = as_texts(column)
    if texts.null_count == len(texts):
        return LeftOut(name, "without values")
    if wanted == "category" or (wanted in ("auto", "boolean") and _is_boolean(column)):
        return _category(name, column, "category" if wanted == "category" else "boolean")
    if wanted == "boolean":
        raise ValueError("it has more than two values, or others than true and false, yes and no")
    found = next(_formats(column, wanted, date), None)
    if found is None:
        if wanted != "auto":
            raise ValueError(f"fewer than {MIN_NUMERIC:.0%} of its values are of that type")
        return _texts_or_left_out(name, column)
    if wanted == "auto" and _is_identifier(name, found[1], found[0]):
        return LeftOut(name, "an identifier")
    return _numbers(name, column, *found)


def _is_scalar(kind: pa.DataType) -> bool:
    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(_is_numeric(value) or pa.types.is_boolean(value) or pa.types.is_string(value) or pa.types.is_large_string(value))


def _is_numeric(kind: pa.DataType) -> bool:
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    return bool(is_number or pa.types.is_date(kind) or pa.types.is_timestamp(kind))


def _is_boolean(column: pa.Array) -> bool:
    if pa.types.is_boolean(column.type):
        return True
    if _is_numeric(column.type):
        return False
    values = pc.unique(as_texts(column))
    return len(values) <= 3 and {text.lower() for text in values.to_pylist() if text} in BOOLEANS


def _category(name: str, column: pa.Array, kind: Literal["boolean", "category"]) -> CategoryColumn:
    """Return a column of the most frequent values."""
    counted = sorted(((entry["counts"], entry["values"]) for entry in pc.value_counts(as_texts(column)).to_pylist()), key=_by_frequency)
    counted = counted[:MAX_CATEGORIES]
    total = sum(count for count, _ in counted)
    return CategoryColumn(name, kind, str(column.type), tuple(v for _, v in counted), tuple(count / total for count, _ in counted))


def _by_frequency(entry: tuple[int, str | None]) -> tuple[int, str]:
    return -entry[0], entry[1] or ""


def _texts_or_left_out(name: str, column: pa.Array) -> Column | LeftOut:
    texts = as_texts(column).drop_null()
    distinct = pc.count_distinct(texts).as_py()
    if len(texts) >= MIN_ROWS and distinct > MAX_DISTINCT * len(texts):
        return LeftOut(name, "an identifier" if distinct == len(texts) else "free text: most of its values are different")
    if distinct > MAX_CATEGORIES:
        return LeftOut(name, f"free text: {distinct:,} different values")
    return _category(name, column, "category")


def _is_identifier(name: str, numbers: Numbers, format: NumberFormat) -> bool:
    """Return whether integers are different in all rows, and are in order, or consecutive, or called so."""
    valid = numbers[~np.isnan(numbers)]
    if format.decimals != 0 or format.date or len(valid) < MIN_ROWS or len(np.unique(valid)) < len(valid):
        return False
    return bool(np.ptp(valid) < 2 * len(valid) or (np.diff(valid) > 0).all() or IDENTIFIER.search(name))


def _formats(column: pa.Array, wanted: str, date: str | None) -> Iterator[tuple[NumberFormat, Numbers]]:
    """Yield formats of numbers that a column's values have, and the numbers."""
    if pa.types.is_temporal(column.type) or _is_numeric(column.type):
        yield from _typed_formats(column, wanted)
        return
    texts = as_texts(column)
    present = texts.drop_null()
    valid = present.filter(pc.invert(pc.is_in(pc.utf8_lower(present), value_set=pa.array(MISSING))))
    dates = [date] if date else [format for formats in DATE_FORMATS for format in formats]
    number_formats = [] if wanted == "date" else list(_number_formats(valid))
    date_formats = [] if wanted in ("integer", "number") else [_date_format(format) for format in dates]
    for format in [*number_formats, *date_formats]:
        numbers = as_numbers(texts, format)
        words = texts.filter(pa.array(np.isnan(numbers))).drop_null()
        num_numbers = len(present) - len(words)
        if 0 < num_numbers >= MIN_NUMERIC * len(valid) and pc.count_distinct(words).as_py() <= MAX_WORDS:
            yield _detailed(format, texts.filter(pa.array(~np.isnan(numbers))), numbers), numbers


def _typed_formats(column: pa.Array, wanted: str) -> Iterator[tuple[NumberFormat, Numbers]]:
    """Yield the format of a typed column, and its numbers."""
    if pa.types.is_temporal(column.type):
        if wanted in ("auto", "date"):
            is_day = pa.types.is_date(column.type)
            format = _date_format(DATE_FORMATS[0][0] if is_day else DATE_FORMATS[1][0])
            yield format, as_numbers(column, format)
    elif wanted != "date" and not (pa.types.is_integer(column.type) and _has_many_digits(column)):
        numbers = as_numbers(column, NumberFormat())
        yield NumberFormat(decimals=0 if pa.types.is_integer(column.type) else _num_decimals(numbers)), numbers


def _has_many_digits(column: pa.Array) -> bool:
    """Return whether some integers are codes rather than numbers: floats do not hold them exactly."""
    return bool((np.abs(as_numbers(column, NumberFormat())) >= 10.0**MAX_DIGITS).any())


def _number_formats(texts: pa.Array) -> Iterator[NumberFormat]:
    """Yield formats that texts may have, by the first of them; none for texts with leading zeros or many digits, which are codes."""
    if not len(texts) or pc.any(pc.match_substring_regex(texts, CODE)).as_py():
        return
    grouped = bool(pc.any(pc.match_substring_regex(texts, r"\d,\d{3}")).as_py())
    yield NumberFormat(grouped=grouped)
    for affix in AFFIXES:
        if pc.mean(pc.starts_with(texts, affix).cast(pa.int8())).as_py() >= MIN_NUMERIC:
            yield NumberFormat(grouped=grouped, prefix=affix)
        elif pc.mean(pc.ends_with(texts, affix).cast(pa.int8())).as_py() >= MIN_NUMERIC:
            yield NumberFormat(grouped=grouped, suffix=affix)


def _date_format(format: str) -> NumberFormat:
    has_time = any(part in format for part in ("%H", "%I", "%S", "%M"))
    return NumberFormat(decimals=0, date=format, unit=1 if has_time else DAY_S)


def _detailed(format: NumberFormat, texts: pa.Array, numbers: Numbers) -> NumberFormat:
    """Return a format with the details that texts have: decimals, and leading zeros of dates."""
    if format.date is not None:
        padded = format.date
        if pc.any(pc.match_substring_regex(texts, r"(^|[/.\s-])\d[/.\s,-]")).as_py():  # a day or month of one digit
            padded = re.sub(r"%([dm])", r"%-\1", padded)
        return replace(format, date=padded)
    bare = pc.replace_substring_regex(texts, r"[^0-9.eE+-]", "")
    if pc.any(pc.match_substring_regex(bare, "[eE]")).as_py():
        return replace(format, decimals=None)
    places = np.asarray(pc.utf8_length(pc.replace_substring_regex(bare, r"^[^.]*\.?", "")))
    return replace(format, decimals=int(places.max()), fixed=bool((places == places.max()).all()))


def _num_decimals(numbers: Numbers) -> int | None:
    """Return how many decimals floats have, None for more than a few."""
    valid = numbers[~np.isnan(numbers)]
    return next((places for places in range(1, MAX_DECIMALS + 1) if np.allclose(valid, np.round(valid, places), rtol=1e-12, atol=0)), None)


def _numbers(name: str, column: pa.Array, format: NumberFormat, numbers: Numbers) -> NumberColumn:
    """Return a column of numbers: words and point masses, and the distribution of the others."""
    is_number = ~np.isnan(numbers)
    words = pc.value_counts(as_texts(column.filter(pa.array(~is_number)))).to_pylist()
    counted = sorted(((entry["counts"], entry["values"]) for entry in words), key=_by_frequency)[:MAX_WORDS]
    values, counts = np.unique(numbers[is_number], return_counts=True)
    is_mass = _masses(counts)
    specials = [(value, count) for count, value in counted]
    specials += [(float(value), int(count)) for value, count in zip(values[is_mass], counts[is_mass], strict=True)]
    levels, bounds = _distribution(values[~is_mass], counts[~is_mass], format)
    kind: Literal["integer", "number", "date"] = "date" if format.date else "integer" if format.decimals == 0 else "number"
    shares = tuple(count / len(numbers) for _, count in specials)
    return NumberColumn(name, kind, str(column.type), format, tuple(value for value, _ in specials), shares, levels, bounds)


def _masses(counts: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which of the values, by their counts, are choices by themselves."""
    if len(counts) <= MAX_CHOICES:
        return np.ones(len(counts), bool)
    shares = counts / counts.sum()
    is_mass = (shares >= MIN_MASS) & (counts >= MASS_RATIO * np.median(counts))
    if is_mass.sum() > MAX_MASSES:
        is_mass &= counts >= np.sort(counts)[-MAX_MASSES]
    return np.asarray(is_mass)


def _distribution(values: Numbers, counts: NDArray[np.int64], format: NumberFormat) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """Return the values and bounds of a discrete distribution, or the quantiles of a continuous one."""
    if len(values) == 0:
        return (), ()
    edges = np.concatenate([[0.0], np.cumsum(counts) / counts.sum()])
    if len(values) <= MAX_VALUES and counts.sum() >= MIN_REPEATS * len(values):
        return tuple(values.tolist()), tuple(_bounds(edges).tolist())
    quantiles = np.interp(knots(), (edges[1:] + edges[:-1]) / 2, values)
    return tuple(quantiles.tolist()), ()


def _bounds(edges: Numbers) -> NDArray[np.int64]:
    """Return the levels at edges of a cumulative distribution, at least one level apart."""
    bounds = np.round(edges * NUM_LEVELS).astype(np.int64)
    order = np.arange(len(bounds))
    ascending = np.maximum.accumulate(bounds - order) + order
    return np.minimum(ascending, NUM_LEVELS - order[::-1])
