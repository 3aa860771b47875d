"""Values of a table's columns as texts and as numbers: parsing, and writing in the format that the source has."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

MAX_NUMBER = 1e300  # beyond it, differences between numbers may not be finite
MAX_DIGITS = 15  # of an integer that a float holds exactly
NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
GROUPED = r"^[+-]?\d{1,3}(,\d{3})+(\.\d+)?$"  # thousands by commas
DAY_S = 86_400
FIRST_S, LAST_S = -62_135_596_800, 253_402_300_799  # of the years that dates are written in
DATE_FORMATS = (  # of dates, then of dates with a time; where several fit all values, the first counts
    ("%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%d-%m-%Y", "%d-%b-%Y", "%d %b %Y", "%b %d, %Y", "%B %d, %Y"),
    (
        "%Y-%m-%d %H:%M:%S",
        "%Y-%m-%dT%H:%M:%S",
        "%Y-%m-%dT%H:%M:%SZ",
        "%Y-%m-%d %H:%M",
        "%m/%d/%Y %H:%M",
        "%d/%m/%Y %H:%M",
        "%d.%m.%Y %H:%M",
    ),
)


@dataclass(frozen=True)
class NumberFormat:
    """How numbers are written: `decimals` after the point (None: as many as they have; 0: integers), `fixed`: always all of them.

    `date` is the format of dates (strptime's), of `unit` seconds each; `grouped`: thousands are separated by commas.
    """

    decimals: int | None = None
    fixed: bool = False
    grouped: bool = False
    prefix: str = ""
    suffix: str = ""
    date: str | None = None
    unit: int = 1

    def rounded(self, numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return numbers rounded to what is written."""
        return numbers if self.decimals is None else np.round(numbers, self.decimals)

    def write(self, number: float) -> str:
        """Return the text of a number."""
        if self.date is not None:
            from datetime import UTC, datetime, timedelta

            day = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=round(number) * self.unit)
            return day.strftime(self.date.replace("%Y", f"{day.year:04d}"))  # which some platforms leave without leading zeros
        grouping = "," if self.grouped else ""
        if self.decimals == 0:
            text = f"{round(number):{grouping}d}"
        elif self.decimals is not None and self.fixed:
            text = f"{number:{grouping}.{self.decimals}f}"
        else:
            rounded = number if self.decimals is None else round(number, self.decimals)
            text = f"{rounded:{grouping}}" if grouping else repr(float(rounded))
        return f"{self.prefix}{text}{self.suffix}"


def as_texts(column: pa.Array) -> pa.Array:
    """Return a column as texts without white space around, null for what is empty or missing."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_floating(column.type) or pa.types.is_temporal(column.type):  # what is no number there is missing
        column = pc.if_else(pa.array(~np.isnan(as_numbers(column, NumberFormat()))), column, None)
    if pa.types.is_boolean(column.type):
        column = pc.if_else(column, "true", "false")
    texts = pc.utf8_trim_whitespace(column.cast(pa.string()))
    return pc.if_else(pc.equal(texts, ""), None, texts)


def as_numbers(column: pa.Array, format: NumberFormat) -> NDArray[np.float64]:
    """Return a column as finite numbers, not a number for what is none; dates in the format's unit since 1970."""
    if pa.types.is_temporal(column.type):
        return _dated(column.cast(pa.timestamp("s"), safe=False)) / format.unit
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or pa.types.is_decimal(column.type):
        return _bounded(_array(column.cast(pa.float64(), safe=False)))
    texts = as_texts(column)
    if format.date is not None:
        return _dated(_times(texts, parsed_format(format.date))) / format.unit
    return parse_numbers(_bare(texts, format), grouped=format.grouped)


def parse_numbers(texts: pa.Array, *, grouped: bool = False) -> NDArray[np.float64]:
    """Return the numbers that texts are, not a number for others."""
    if grouped:
        texts = pc.if_else(pc.match_substring_regex(texts, GROUPED), pc.replace_substring(texts, ",", ""), texts)
    numeric = pc.if_else(pc.match_substring_regex(texts, NUMBER), pc.utf8_ltrim(texts, "+"), None)
    return _bounded(_array(numeric.cast(pa.float64())))


def parsed_format(format: str) -> str:
    """Return a date's format as parsers know it: without the sign that leaves out leading zeros when writing."""
    return format.replace("%-", "%")


def _bare(texts: pa.Array, format: NumberFormat) -> pa.Array:
    """Return texts without the format's prefix and suffix, null where they are missing."""
    if not format.prefix and not format.suffix:
        return texts
    has = pc.and_(pc.starts_with(texts, format.prefix), pc.ends_with(texts, format.suffix))
    stop = -len(format.suffix) if format.suffix else None
    return pc.if_else(has, pc.utf8_slice_codeunits(texts, len(format.prefix), stop), None)


def _bounded(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return numbers, not a number for those that are infinite, or nearly so, and 0 for those that are nearly 0."""
    sizes = np.abs(numbers)
    return np.where(sizes <= MAX_NUMBER, np.where(sizes >= 1 / MAX_NUMBER, numbers, 0.0), np.nan)


def _times(texts: pa.Array, format: str) -> pa.Array:
    """Return the times that texts are, null for others, as for the 31st of February, which a parser takes for a day of March."""
    times = pc.strptime(texts, format=format, unit="s", error_is_null=True)
    if times.null_count == len(times):
        return times
    return pc.if_else(pc.equal(_plain(pc.strftime(times, format=format)), _plain(texts)), times, None)


def _plain(texts: pa.Array) -> pa.Array:
    """Return texts of dates with one form for all that a parser takes for the same."""
    return pc.utf8_lower(pc.replace_substring_regex(pc.replace_substring_regex(texts, r"\s+", " "), r"\b0+(\d)", r"\1"))


def _dated(times: pa.Array) -> NDArray[np.float64]:
    """Return the seconds of times since 1970, not a number for those of other years than 1 to 9999."""
    seconds = _array(times.cast(pa.int64()))
    return np.where((seconds >= FIRST_S) & (seconds <= LAST_S), seconds, np.nan)


def _array(column: pa.Array) -> NDArray[np.float64]:
    """Return an Arrow column of numbers as floats, not a number for nulls."""
    column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return np.asarray(column.cast(pa.float64(), safe=False).fill_null(np.nan), np.float64)
