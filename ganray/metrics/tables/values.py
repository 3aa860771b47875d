"""The values of a table's columns, as its scores see them: numbers, and categories by their number."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ColumnValues:
    """A column [N]: float64 with not-a-number where a number is missing, or, of `num_categories` categories, their int64 numbers."""

    values: NDArray[Any]
    num_categories: int = 0

    @property
    def is_number(self) -> bool:
        """Whether the column holds numbers."""
        return not self.num_categories

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: NDArray[np.int64]) -> "ColumnValues":
        """Return the column at some rows."""
        return ColumnValues(self.values[rows], self.num_categories)


Values = Sequence[ColumnValues]


def take(columns: Values, rows: NDArray[np.int64]) -> list[ColumnValues]:
    """Return columns at some rows."""
    return [column.take(rows) for column in columns]
