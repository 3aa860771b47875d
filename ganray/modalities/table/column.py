"""Columns of a table: between values as a file has them and codes, which are unsigned 16-bit integers.

A code first numbers the choices of a column: a category's values, or the special values of numbers (missing, words between the
numbers, point masses). Beyond them, codes of numbers are levels: intervals of the cumulative distribution, in order.
"""

import zlib
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ganray.modalities.table.encoding import NUM_LEVELS
from ganray.modalities.table.texts import NumberFormat, as_numbers, as_texts

Codes = NDArray[np.uint16]
Numbers = NDArray[np.float64]
ColumnType = Literal["integer", "number", "date", "boolean", "category"]

KNOTS = 513  # of the stored quantile function of a column with many different numbers
MAX_DEVIATIONS = 3.8  # of a normal distribution, whose quantiles are those of the knots: close in the tails, one in 14,000 at the ends


@dataclass(frozen=True)
class CategoryColumn:
    """A column of categories. `values` are the most frequent first, None where the value is missing; `arrow_type` is the source's."""

    name: str
    type: Literal["boolean", "category"]
    arrow_type: str
    values: tuple[str | None, ...]
    shares: tuple[float, ...]

    @property
    def num_choices(self) -> int:
        """The number of values."""
        return len(self.values)

    @property
    def num_codes(self) -> int:
        """The number of codes."""
        return len(self.values)

    @property
    def num_levels(self) -> int:
        """A category has none."""
        return 0

    def encode(self, column: pa.Array) -> Codes:
        """Return codes [N]. A value that the column was not fitted on takes the place of a known one, by its hash."""
        texts = as_texts(column)
        found = pc.index_in(texts, value_set=pa.array(self.values, pa.string()))
        if found.null_count:
            unknown = pc.and_(pc.is_null(found), True)
            codes = np.asarray(found.fill_null(0), np.int64)
            rows = np.flatnonzero(np.asarray(unknown))
            codes[rows] = [zlib.crc32((text or "").encode()) % self.num_choices for text in texts.take(pa.array(rows)).to_pylist()]
            return codes.astype(np.uint16)
        return np.asarray(found, np.uint16)

    def texts(self, codes: Codes) -> pa.Array:
        """Return the texts of codes, null where missing."""
        return pa.array(self.values, pa.string()).take(pa.array(np.minimum(codes, self.num_choices - 1).astype(np.int64)))

    def code_of(self, text: str) -> int | None:
        """Return the code of a value as a user writes it, None for an unknown one; the empty text is a missing value."""
        wanted = text if text in self.values else (text.strip() or None)
        return self.values.index(wanted) if wanted in self.values else None


@dataclass(frozen=True)
class NumberColumn:
    """A column of numbers; dates are days, or seconds, since 1970.

    `specials` are choices: numbers that are point masses, words that stand between the numbers, None for a missing value. The others
    have levels. Of few different numbers, `values` are all of them, and each has the levels from one of the `bounds` [values + 1] to
    the next; without bounds, `values` [KNOTS] are quantiles at the knots, and levels lie between them.
    """

    name: str
    type: Literal["integer", "number", "date"]
    arrow_type: str
    format: NumberFormat
    specials: tuple[float | str | None, ...]
    shares: tuple[float, ...]
    values: tuple[float, ...] = ()
    bounds: tuple[int, ...] = ()

    @property
    def num_choices(self) -> int:
        """The number of special values, and one more for the levels."""
        return len(self.specials) + (len(self.values) > 0)

    @property
    def num_levels(self) -> int:
        """The number of levels, 0 where all numbers are special values."""
        return NUM_LEVELS if self.values else 0

    @property
    def num_codes(self) -> int:
        """The number of codes."""
        return len(self.specials) + self.num_levels

    @cached_property
    def level_values(self) -> Numbers:
        """The value of each level, in order."""
        if not self.values:
            return np.zeros(0)
        if self.bounds:
            return np.repeat(np.array(self.values), np.diff(self.bounds))
        values = self.format.rounded(np.interp((np.arange(NUM_LEVELS) + 0.5) / NUM_LEVELS, knots(), np.array(self.values)))
        values[[0, -1]] = self.values[0], self.values[-1]
        return values

    def encode(self, column: pa.Array) -> Codes:
        """Return codes [N], of a value with several levels the first.

        A word that the column was not fitted on counts as the most frequent special value that is no number, a number as the nearest.
        """
        numbers = as_numbers(column, self.format)
        codes = np.zeros(len(numbers), np.int64)
        is_number = ~np.isnan(numbers)
        if self.values:
            codes[is_number] = len(self.specials) + self._levels(numbers[is_number])
        masses = [(value, code) for code, value in enumerate(self.specials) if isinstance(value, float)]
        for value, code in masses:
            codes[numbers == value] = code
        if not self.values:
            known = np.array([value for value, _ in masses])
            nearest = np.abs(numbers[is_number, None] - known).argmin(1)
            codes[is_number] = np.array([code for _, code in masses])[nearest]
        if not is_number.all():
            codes[~is_number] = self._words(as_texts(column.filter(pa.array(~is_number))))
        return codes.astype(np.uint16)

    def spread(self, codes: Codes, uniforms: Numbers) -> Codes:
        """Return codes of which each lies anywhere among the levels of its value, by uniforms [N] in (0, 1)."""
        if not self.bounds:
            return codes
        levels = codes.astype(np.int64) - len(self.specials)
        bounds = np.array(self.bounds)
        number = np.searchsorted(bounds, np.maximum(levels, 0), side="right") - 1
        moved = bounds[number] + np.floor(uniforms * (bounds[number + 1] - bounds[number])).astype(np.int64)
        return np.where(levels >= 0, moved + len(self.specials), codes).astype(np.uint16)

    def _levels(self, numbers: Numbers) -> NDArray[np.int64]:
        """Return the first level of each number, or of the nearest known one."""
        values = np.array(self.values)
        if not self.bounds:
            quantiles, last = np.unique(values[::-1], return_index=True)
            places = np.interp(numbers, quantiles, knots()[::-1][last])
            return np.minimum((places * NUM_LEVELS).astype(np.int64), NUM_LEVELS - 1)
        right = np.searchsorted(values, numbers).clip(0, len(values) - 1)
        left = np.maximum(right - 1, 0)
        nearest = np.where(np.abs(values[left] - numbers) < np.abs(values[right] - numbers), left, right)
        return np.array(self.bounds)[nearest]

    def _words(self, texts: pa.Array) -> NDArray[np.int64]:
        """Return the codes of what is no number."""
        words = [None if isinstance(value, float) else value for value in self.specials]
        others = [code for code, value in enumerate(self.specials) if not isinstance(value, float)]
        found = pc.index_in(texts, value_set=pa.array([words[code] for code in others], pa.string())).fill_null(0)
        return np.array(others or [0])[np.asarray(found, np.int64)]

    def numbers(self, codes: Codes) -> Numbers:
        """Return the numbers of codes, not a number where a special value is none."""
        specials = [value if isinstance(value, float) else np.nan for value in self.specials]
        table = np.concatenate([np.array(specials, np.float64), self.level_values])
        return table[np.minimum(codes, len(table) - 1)]

    def texts(self, codes: Codes, numbers: Numbers) -> pa.Array:
        """Return numbers [N] in the source's format, and where they are none the words of the codes; null where missing."""
        used, places = np.unique(numbers, return_inverse=True, equal_nan=True)
        written = pa.array([None if np.isnan(number) else self.format.write(number) for number in used], pa.string())
        texts = written.take(pa.array(places))
        words = pa.array([value if isinstance(value, str) else None for value in (*self.specials, None)], pa.string())
        said = words.take(pa.array(np.minimum(codes, len(self.specials)).astype(np.int64)))
        return pc.if_else(pa.array(np.isnan(numbers)), said, texts)

    def code_of(self, text: str) -> int | None:
        """Return the code of a value as a user writes it, None for one beyond the column's range."""
        if text in self.specials or (not text.strip() and None in self.specials):
            return self.specials.index(text if text in self.specials else None)
        (number,) = as_numbers(pa.array([text], pa.string()), self.format)
        known = self.numbers(np.arange(self.num_codes, dtype=np.uint16))
        if np.isnan(number) or not np.nanmin(known) <= number <= np.nanmax(known):
            return None
        return int(self.encode(pa.array([text], pa.string()))[0])


Column = CategoryColumn | NumberColumn


def knots() -> Numbers:
    """Return the cumulative probabilities of the stored quantiles, [KNOTS]: normal quantiles evenly spaced, so that tails are kept."""
    from statistics import NormalDist

    inner = [NormalDist().cdf(deviation) for deviation in np.linspace(-MAX_DEVIATIONS, MAX_DEVIATIONS, KNOTS - 2)]
    return np.array([0.0, *inner, 1.0])
