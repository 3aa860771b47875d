"""Rows of tables as raw samples: structs of columns, first those to train on, then those held out, spread evenly over the whole."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ganray.data.sources.rows import UNLABELLED
from ganray.errors import DataError

MAX_HOLDOUT = 20_000  # rows: more make scores no better
MIN_HOLDOUT = 100  # fewer say nothing
TRAIN, HOLDOUT = "train", "holdout"


@dataclass(frozen=True)
class Part:
    """The rows of a file, or of a row group, that are trained on or held out. `start` is the number of its first row in the source."""

    file: str
    group: int
    start: int
    kind: str


@dataclass(frozen=True)
class Split:
    """Which rows are held out: the last of every `stride`; 0 for none."""

    stride: int

    @classmethod
    def of(cls, count: int, fraction: float) -> "Split":
        """Return a split of `count` rows that holds out about a fraction of them, or none if those would be too few."""
        held_out = min(int(count * fraction), MAX_HOLDOUT)
        return cls(-(-count // held_out) if held_out >= MIN_HOLDOUT else 0)

    def num_held_out(self, count: int) -> int:
        """Return how many of `count` rows are held out."""
        return count // self.stride if self.stride else 0

    def select(self, rows: pa.Table, start: int, kind: str) -> tuple[pa.Table, np.ndarray]:
        """Return the rows of a part among those from number `start` on, and their numbers."""
        numbers = np.arange(start, start + rows.num_rows)
        held_out = numbers % self.stride == self.stride - 1 if self.stride else np.zeros(len(numbers), bool)
        chosen = held_out if kind == HOLDOUT else ~held_out
        return rows.filter(pa.array(chosen)), numbers[chosen]


def parts_of(pieces: Iterable[tuple[str, int, int]], split: Split) -> list[Part]:
    """Return the parts of pieces (file, row group, first row): all that are trained on, then all that are held out."""
    pieces = list(pieces)
    return [Part(*piece, kind) for kind in (TRAIN, HOLDOUT) if split.stride or kind == TRAIN for piece in pieces]


def raw_rows(rows: pa.Table, file: str, numbers: np.ndarray) -> pa.Table:
    """Return columns as raw samples: a name, a struct of the columns, no label."""
    rows = rows.combine_chunks()
    arrays = [column.chunk(0) if column.num_chunks else pa.array([], column.type) for column in rows.columns]
    names = pa.array([f"{file}#{number}" for number in numbers.tolist()], pa.string())
    return _table(names, pa.StructArray.from_arrays(arrays, rows.column_names), pa.nulls(len(numbers), pa.string()))


def broken_rows(schema: pa.Schema, file: str, reasons: list[tuple[int, str]]) -> pa.Table:
    """Return raw samples without data, for lines (number, reason) that are no rows."""
    names = pa.array([f"{file}, line {number}" for number, _ in reasons], pa.string())
    return _table(names, pa.nulls(len(reasons), pa.struct(list(schema))), pa.array([reason for _, reason in reasons], pa.string()))


def _table(names: pa.Array, data: pa.Array, reasons: pa.Array) -> pa.Table:
    labels = pa.array(np.full(len(names), UNLABELLED), pa.int32())
    return pa.table({"name": names, "data": data, "label": labels, "reason": reasons})


def check_names(names: list[str], field: str, *, remedy: str) -> list[str]:
    """Return the names of columns, without white space around. Raises `DataError` for empty ones and for two that are equal."""
    names = [name.strip() for name in names]
    if "" in names:
        raise DataError(field, f"column {names.index('') + 1} has no name", remedy)
    if twice := next((name for place, name in enumerate(names) if name in names[:place]), None):
        raise DataError(field, f"two columns are called {twice}", remedy)
    return names


def parts_in(batch: pa.Table) -> Iterator[Part]:
    """Yield the parts that a batch of a Ray Dataset describes."""
    yield from (Part(**row) for row in batch.to_pylist())
