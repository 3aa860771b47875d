"""How far written rows are from rows that were generated again: cells are equal, or numbers that another machine rounds otherwise.

A number is one of a column's levels, which a generator's output is rounded to, written with the column's decimals. Where machines sum in
another order, outputs differ in their last bits, and now and then one is rounded to the level beside. That may be nearer or farther than
a unit of the last written place: many levels are written alike, and in a tail one is far from the next. Choices are compared exactly.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ganray.config.fields import shortened
from ganray.config.modalities.table import Unique, columns_of
from ganray.errors import plural
from ganray.generation.formats.base import Difference
from ganray.modalities.codec import Samples
from ganray.modalities.table.encoding import NUM_LEVELS

if TYPE_CHECKING:
    import pyarrow as pa

    from ganray.modalities.table.codec import TableCodec  # which needs pyarrow, as commands for other kinds do not
    from ganray.modalities.table.column import NumberColumn, Numbers

TOLERANCE = f"numbers of the levels beside theirs, of the {NUM_LEVELS:,} that a column has; all else is equal"
RELATIVE = 1e-9  # of numbers without a fixed number of decimals, by which machines may compute them otherwise
MAX_NAMED = 5  # rows that an error names

Cells = Mapping[str, NDArray[np.bool_]]  # by column, [N]


def row_difference(left: "pa.Table", right: "pa.Table", codes: Samples, codec: "TableCodec") -> Difference:
    """Return how many written rows `left` differ from `right`, which were made of `codes`; and which of them by more than `TOLERANCE`."""
    if problem := _other_columns(left, right) or ("" if len(left) == len(right) else f"{plural(len(right), 'row')}, not {len(left)}"):
        return Difference(None, "row", is_small=False, detail=problem)
    cells = {name: _are_different(left[name], right[name]) for name in left.column_names}
    others = _without_rounded(cells, left, codes, codec) if any(cell.any() for cell in cells.values()) else cells
    rows = np.flatnonzero(np.logical_or.reduce(list(others.values())))
    number = int(np.logical_or.reduce(list(cells.values())).sum())
    return Difference(number, "row", is_small=not len(rows), detail=_described(left, right, others, rows))


def _other_columns(left: "pa.Table", right: "pa.Table") -> str:
    """Return what columns there are instead of others, as a message says it, nothing where they are the same."""
    if left.column_names != right.column_names:
        return f"the columns {shortened(right.column_names)}, not {shortened(left.column_names)}"
    types = zip(left.column_names, left.schema.types, right.schema.types, strict=True)
    return next((f"{shortened(name)} of type {made}, not {found}" for name, found, made in types if found != made), "")


def _are_different(left: "pa.ChunkedArray", right: "pa.ChunkedArray") -> NDArray[np.bool_]:
    """Return where two columns of one type and length differ; missing values are equal."""
    import pyarrow.compute as pc

    same = pc.fill_null(pc.equal(left, right), False)
    return ~np.asarray(pc.or_(same, pc.and_(pc.is_null(left), pc.is_null(right))))


def _without_rounded(cells: Cells, left: "pa.Table", codes: Samples, codec: "TableCodec") -> Cells:
    """Return which of the cells that differ do so by more than rounding."""
    from ganray.modalities.table.column import NumberColumn

    beside = [codec.numbers(_beside(codes, codec, step)) for step in (-1, 0, 1)]
    ruled = {name for rule in codec.parsed_rules if not isinstance(rule, Unique) for name in columns_of(rule)}
    found = dict(cells)
    for column in codec.columns:
        name, rows = column.name, np.flatnonzero(cells[column.name])
        if isinstance(column, NumberColumn) and len(rows):
            known = np.stack([numbers[name][rows] for numbers in beside])
            found[name] = cells[name].copy()
            found[name][rows] = ~_are_near(left[name].take(rows), column, known, is_between=name in ruled)
    return found


def _beside(codes: Samples, codec: "TableCodec", step: int) -> Samples:
    """Return codes [N, columns] of which those of levels are moved by `step`, as far as there are levels. Rules keep their order."""
    from ganray.modalities.table.column import NumberColumn

    moved = codes.astype(np.int64)
    for place, column in enumerate(codec.columns):
        if isinstance(column, NumberColumn) and column.num_levels:
            first = len(column.specials)
            levels = moved[:, place] >= first
            moved[levels, place] = (moved[levels, place] + step).clip(first, column.num_codes - 1)
    return moved.astype(codes.dtype)


def _are_near(cells: "pa.ChunkedArray", column: "NumberColumn", known: "Numbers", *, is_between: bool) -> NDArray[np.bool_]:
    """Return which cells of a column are one of the numbers `known` [3, N] in order, as the column writes them.

    `is_between`, for columns that rules change: or any between them, as a sum is of which only one part is rounded otherwise.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    from ganray.modalities.table.texts import as_numbers
    from ganray.modalities.table.typed import typed

    values, format = cells.combine_chunks(), column.format
    numbers = as_numbers(values, format)
    known = np.round(known) if format.date else format.rounded(known)
    exactness = np.finfo(values.type.to_pandas_dtype()).eps if pa.types.is_floating(values.type) else np.finfo(np.float64).eps
    slack = (RELATIVE if format.decimals is None and not format.date else 2 * exactness) * np.abs(known)
    near: NDArray[np.bool_] = np.asarray((np.abs(numbers - known) <= slack).any(0))  # never of what is no number
    if is_between:
        near |= (numbers >= (known - slack).min(0)) & (numbers <= (known + slack).max(0))
    texts = pa.array(
        [format.write(number) if is_near else None for number, is_near in zip(numbers.tolist(), near, strict=True)], pa.string()
    )
    written = texts if pa.types.is_string(values.type) else typed(column, texts, np.where(near, numbers, np.nan))
    found: NDArray[np.bool_] = near & np.asarray(pc.fill_null(pc.equal(written, values), False))
    return found


def _described(left: "pa.Table", right: "pa.Table", cells: Cells, rows: NDArray[np.intp]) -> str:
    """Return which rows differ, counted from 1 and without a header, and in what, as a message says it."""
    found = []
    for row in rows[:MAX_NAMED].tolist():
        name = next(name for name, different in cells.items() if different[row])
        made, written = (shortened(_shown(table[name][row].as_py())) for table in (right, left))
        found.append(f"in row {row + 1} {shortened(name)} is {made}, not {written}")
    more = "; and so on" if len(rows) > MAX_NAMED else ""
    return f"{plural(len(rows), 'other row')}: {'; '.join(found)}{more}" if found else ""


def _shown(value: object) -> object:
    """Return a value as a message has it: dates and the like as they are written."""
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)
