"""Columns of generated tables in the types that the source's have, or that were found in its texts."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ganray.modalities.table.column import Column, NumberColumn, Numbers
from ganray.modalities.table.texts import DAY_S

MAX_INTEGER = 2.0**63 - 1024  # the largest float that an integer of 64 bits can be
TEXTS = ("string", "large_string")
TRUE = ("true", "yes", "t", "y")


def typed(column: Column, texts: pa.Array, numbers: Numbers | None) -> pa.Array:
    """Return a column, given as texts and, if it holds some, numbers [N], as an Arrow array of its source's type."""
    texts = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
    if isinstance(column, NumberColumn):
        assert numbers is not None
        return _numbers(column, texts, numbers)
    if column.type == "boolean":
        return pc.if_else(pc.is_null(texts), None, pc.is_in(pc.utf8_lower(texts), value_set=pa.array(TRUE)))
    kind = pa.type_for_alias(column.arrow_type) if _is_known(column.arrow_type) else pa.string()
    return texts if pa.types.is_string(kind) else texts.cast(kind)


def _numbers(column: NumberColumn, texts: pa.Array, numbers: Numbers) -> pa.Array:
    """Return numbers as their source's type; texts where words stand between them, or dates are written in a format."""
    is_text = column.arrow_type in TEXTS or not _is_known(column.arrow_type)
    if any(isinstance(value, str) for value in column.specials):
        return texts
    missing = np.isnan(numbers)
    filled = np.where(missing, 0, numbers)
    if column.type == "date":
        seconds = pa.array((np.round(filled) * column.format.unit).astype(np.int64), pa.timestamp("s"), mask=missing)
        return seconds.cast(pa.date32() if column.format.unit == DAY_S else pa.timestamp("us")) if is_text else _cast(seconds, column)
    if column.type == "integer":
        integers = pa.array(np.round(filled).clip(-MAX_INTEGER, MAX_INTEGER).astype(np.int64), mask=missing)
        return integers if is_text else _cast(integers, column)
    found = pa.array(filled, mask=missing)
    return found if is_text else _cast(found, column)


def _cast(values: pa.Array, column: NumberColumn) -> pa.Array:
    return values.cast(pa.type_for_alias(column.arrow_type), safe=False)


def _is_known(name: str) -> bool:
    try:
        pa.type_for_alias(name)
    except ValueError:
        return False
    return True
