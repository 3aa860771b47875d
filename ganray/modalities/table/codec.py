"""The codec of tables: rows to codes and back, fitted to the columns of the data."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from ganray.config.modalities.table import MAX_COLUMNS, Rule, Unique, columns_of, parse_rule
from ganray.modalities.codec import Encoded, Samples
from ganray.modalities.table.column import CategoryColumn, Codes, Column, NumberColumn, Numbers
from ganray.modalities.table.encoding import NUM_LEVELS
from ganray.modalities.table.infer import MAX_CATEGORIES, LeftOut
from ganray.modalities.table.rules import enforce
from ganray.modalities.table.typed import typed

GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # SplitMix64's increment
MAX_NUMBERS = 50_000  # values of a column, as JSON


@dataclass(frozen=True)
class TableCodec:
    """The columns that are learned, in the source's order, those that are left out, and the rules of written rows."""

    columns: tuple[CategoryColumn | NumberColumn, ...]
    left_out: tuple[LeftOut, ...] = ()
    rules: tuple[str, ...] = ()
    target: str | None = None
    kind: ClassVar[Literal["table"]] = "table"
    dtype: ClassVar[str] = "uint16"

    @property
    def shape(self) -> tuple[int, ...]:
        """(columns,): a row is a code a column."""
        return (len(self.columns),)

    @property
    def noun(self) -> str:
        """What samples are, in the plural."""
        return f"rows of {len(self.columns)} columns"

    @property
    def names(self) -> list[str]:
        """The columns' names."""
        return [column.name for column in self.columns]

    @cached_property
    def by_name(self) -> dict[str, Column]:
        """The columns by their names."""
        return {column.name: column for column in self.columns}

    @cached_property
    def parsed_rules(self) -> list[Rule]:
        """The rules."""
        return [parse_rule(rule) for rule in self.rules]

    @property
    def unique_rules(self) -> list[Unique]:
        """The rules that more than one row decides."""
        return [rule for rule in self.parsed_rules if isinstance(rule, Unique)]

    def encode_batch(self, data: Any) -> Encoded:
        """Return the rows of an Arrow array of structs, null for those that are not there."""
        is_there = data.is_valid()
        rows = pa.Table.from_struct_array(data.filter(is_there))
        samples = iter([codes.tobytes() for codes in self.encode(rows)] if rows.num_rows else [])
        found: list[bytes | None] = [next(samples) if there else None for there in is_there.to_pylist()]
        return Encoded(found, [None if sample else "there is nothing to read" for sample in found], [None] * len(found))

    def preview(self, samples: Samples, texts: Mapping[str, str] | None = None) -> bytes:
        """Return the first rows as text, and each column's histogram over the data's."""
        from ganray.modalities.table.preview import preview_png  # which draws codecs

        return preview_png(self, samples, texts)

    def encode(self, rows: pa.Table) -> Codes:
        """Return rows as codes [N, columns]. Raises KeyError for a missing column."""
        codes = np.stack([column.encode(_one_array(rows[column.name])) for column in self.columns], axis=1)
        uniforms = row_uniforms(codes)
        for place, column in enumerate(self.columns):
            if isinstance(column, NumberColumn):
                codes[:, place] = column.spread(codes[:, place], uniforms[:, place])
        return codes

    def numbers(self, codes: Codes) -> dict[str, Numbers]:
        """Return the columns of numbers of codes [N, columns], as the rules have them; not a number where there is none."""
        columns = enumerate(self.columns)
        numbers = {column.name: column.numbers(codes[:, place]) for place, column in columns if isinstance(column, NumberColumn)}
        enforce(self.parsed_rules, self.by_name, numbers)
        return numbers

    def texts(self, codes: Codes) -> pa.Table:
        """Return codes [N, columns] as rows of texts in the source's formats, null where missing."""
        numbers = self.numbers(codes)
        return pa.table(
            {
                column.name: column.texts(codes[:, place], numbers[column.name])
                if isinstance(column, NumberColumn)
                else column.texts(codes[:, place])
                for place, column in enumerate(self.columns)
            }
        )

    def rows(self, codes: Codes) -> pa.Table:
        """Return codes [N, columns] as rows of the source's types, or for texts of those that were found in them."""
        texts, numbers = self.texts(codes), self.numbers(codes)
        return pa.table({column.name: typed(column, texts[column.name], numbers.get(column.name)) for column in self.columns})

    def to_json(self) -> dict[str, Any]:
        """Return all that it takes to decode."""
        return {"kind": self.kind, **asdict(self)}


_STORED = TypeAdapter(TableCodec)


def table_codec_from_json(data: dict[str, Any]) -> TableCodec:
    """Return the codec that `to_json` described. Raises `ValueError` for anything else."""
    plain = {name: value for name, value in data.items() if name != "kind"}
    try:
        codec = _STORED.validate_python(plain)
    except ValidationError as error:
        raise ValueError(f"it is no table's codec: {error.errors()[0]['msg']}") from None
    _check(codec)
    return codec


def _check(codec: TableCodec) -> None:
    """Raise `ValueError` for columns that nothing could be decoded with."""
    if not 1 <= len(codec.columns) <= MAX_COLUMNS or len(codec.by_name) < len(codec.columns):
        raise ValueError(f"expected 1 to {MAX_COLUMNS} columns of different names")
    for column in codec.columns:
        if isinstance(column, CategoryColumn):
            is_right = 1 <= len(column.values) <= MAX_CATEGORIES and len(column.shares) == len(column.values)
        else:
            is_right = len(column.values) + len(column.specials) <= MAX_NUMBERS and column.num_choices >= 1 and _has_levels(column)
        if not is_right:
            raise ValueError(f"column {column.name[:40]!r} has values that do not fit together")
    for rule in codec.parsed_rules:
        if any(name not in codec.by_name for name in columns_of(rule)):
            raise ValueError("a rule names a column that is not there")


def _has_levels(column: NumberColumn) -> bool:
    bounds = column.bounds
    if not bounds:
        return True
    return len(bounds) == len(column.values) + 1 and bounds[0] == 0 and bounds[-1] == NUM_LEVELS and bool((np.diff(bounds) > 0).all())


def _one_array(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def row_uniforms(codes: Codes) -> NDArray[np.float64]:
    """Return numbers in (0, 1) for each cell of rows [N, columns], a function of the row alone: SplitMix64 (Steele et al. 2014) of it."""
    state = np.zeros(len(codes), np.uint64)
    for column in codes.T:
        state = _mixed(state ^ column.astype(np.uint64))
    steps = np.arange(1, codes.shape[1] + 1, dtype=np.uint64) * GOLDEN
    return ((_mixed(state[:, None] + steps) >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53


def _mixed(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return SplitMix64's next output of each state."""
    state = state + GOLDEN
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))
