"""One-hot blocks of a table's columns: which inputs of a network each column takes."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ganray.modalities.table.column import Column  # which needs pyarrow

NUM_LEVELS = 16_384  # of a column of numbers: intervals of equal probability
MAX_ONE_HOT = 64  # choices that are one block; more are two digits, of a block each


@dataclass(frozen=True)
class Block:
    """A one-hot block of `size` inputs from `start` on: the digit choice // divisor % size of a column's choice."""

    column: int
    start: int
    size: int
    divisor: int


@dataclass(frozen=True)
class Encoding:
    """Where the columns lie among `width` inputs: first a number of each that has levels, then the blocks of each."""

    num_choices: tuple[int, ...]
    has_levels: tuple[bool, ...]

    @cached_property
    def numbers(self) -> list[int]:
        """The columns with levels, in order."""
        return [column for column, has in enumerate(self.has_levels) if has]

    @cached_property
    def blocks(self) -> list[Block]:
        """The one-hot blocks, by column; a column of one choice has none."""
        blocks: list[Block] = []
        start = len(self.numbers)
        for column, choices in enumerate(self.num_choices):
            for size, divisor in digits(choices):
                blocks.append(Block(column, start, size, divisor))
                start += size
        return blocks

    @cached_property
    def width(self) -> int:
        """The number of inputs."""
        return len(self.numbers) + sum(block.size for block in self.blocks)


def digits(choices: int) -> list[tuple[int, int]]:
    """Return the (size, divisor) of the digits that number a column's choices: one up to MAX_ONE_HOT, else two, about equal."""
    if choices == 1:
        return []
    if choices <= MAX_ONE_HOT:
        return [(choices, 1)]
    low = int(np.ceil(np.sqrt(choices)))
    return [(-(-choices // low), low), (low, 1)]


def encoding_of(columns: "Sequence[Column]") -> Encoding:
    """Return the encoding of fitted columns."""
    return Encoding(tuple(column.num_choices for column in columns), tuple(column.num_levels > 0 for column in columns))
