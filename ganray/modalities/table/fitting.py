"""Fitting the codec of tables to a part of the rows, spread evenly, in bounded memory."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from ganray.config.modalities.table import MAX_COLUMNS, Sum, TableModality, Unique
from ganray.errors import ConfigError, DataError
from ganray.modalities.table.codec import TableCodec
from ganray.modalities.table.column import CategoryColumn, Column, NumberColumn
from ganray.modalities.table.infer import LeftOut, fit_column
from ganray.modalities.table.rules import check_rules, share_kept

MAX_ROWS = 200_000  # that the columns are fitted to
MAX_CELLS = 10_000_000
MIN_KEPT = 0.999  # share of rows of the data in which a rule holds, below which it is told
MAX_TARGET_CLASSES = 20
FIELD = "data.modality.columns"
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TableFitting:
    """How columns are fitted to data of about `count` rows."""

    modality: TableModality
    count: int

    def observe(self, data: pa.StructArray) -> pa.Table:
        """Return evenly spread rows of a batch, of which each is a struct of its columns."""
        rows = pa.Table.from_struct_array(data)
        most = min(MAX_ROWS, MAX_CELLS // max(rows.num_columns, 1))
        stride = max(1, self.count // most)
        return rows.take(pa.array(np.arange(0, rows.num_rows, stride)))

    def codec(self, summaries: Iterable[pa.Table]) -> TableCodec:
        """Return the codec fitted to the rows. Raises `DataError` or `ConfigError` for columns or rules that are not what the job says."""
        parts = [part for part in summaries if part.num_rows]
        if not parts:
            raise DataError("data.source", "the table has no rows", "name one that has")
        rows = pa.concat_tables(parts, promote_options="permissive")
        if unknown := next((name for name in self.modality.columns if name not in rows.column_names), None):
            raise ConfigError(f"{FIELD}.{unknown}", "there is no such column", f"name one of {', '.join(rows.column_names)}")
        found = [self._column(name, rows[name].combine_chunks()) for name in rows.column_names]
        left_out = tuple(column for column in found if isinstance(column, LeftOut))
        columns = self._with_sums([column for column in found if not isinstance(column, LeftOut)])
        if not columns:
            reasons = ", ".join(f"{column.name}: {column.reason}" for column in left_out)
            raise DataError("data.source", f"the table has no column to learn ({reasons})", f"name types in {FIELD}")
        if len(columns) > MAX_COLUMNS:
            problem = f"expected at most {MAX_COLUMNS:,} columns to learn, the table has {len(columns):,}"
            raise DataError(FIELD, problem, "set those to exclude that are not needed")
        target = self._target(columns)
        codec = TableCodec(tuple(columns), left_out, tuple(self.modality.rules), target)
        check_rules(codec.parsed_rules, codec.by_name)
        _warn(codec, rows)
        return codec

    def _column(self, name: str, column: pa.Array) -> Column | LeftOut:
        options = self.modality.options(name)
        if options.type == "exclude":
            return LeftOut(name, "excluded by the job")
        wanted = "date" if options.format else options.type
        try:
            return fit_column(name, column, wanted, options.format)
        except ValueError as error:
            raise ConfigError(f"{FIELD}.{name}", f"it is no column of type {wanted}: {error}", "use auto, or another type") from None

    def _with_sums(self, columns: list[Column]) -> list[Column]:
        """Return columns of which totals are written with as many decimals as their parts have."""
        by_name = {column.name: column for column in columns}
        for rule in self.modality.parsed_rules:
            parts = [by_name.get(name) for name in (rule.total, *rule.parts)] if isinstance(rule, Sum) else []
            numbers = [column for column in parts if isinstance(column, NumberColumn)]
            if numbers and isinstance(rule, Sum) and numbers[0].name == rule.total:
                places = [column.format.decimals for column in numbers]
                most = None if None in places else max(place for place in places if place is not None)
                by_name[rule.total] = replace(numbers[0], format=replace(numbers[0].format, decimals=most))
        return list(by_name.values())

    def _target(self, columns: list[Column]) -> str | None:
        """Return the column that classifiers predict: the job's, or the last category of few values, or the last number."""
        names = [column.name for column in columns]
        if self.modality.target is not None:
            if self.modality.target not in names:
                problem = f"there is no column {self.modality.target} among those that are learned"
                raise ConfigError("data.modality.target", problem, f"name one of {', '.join(names)}")
            return self.modality.target
        few = [column for column in columns if isinstance(column, CategoryColumn) and 2 <= column.num_choices <= MAX_TARGET_CLASSES]
        return (few or columns)[-1].name


def _warn(codec: TableCodec, rows: pa.Table) -> None:
    """Log which columns are left out, and which rules the data itself does not keep."""
    for column in codec.left_out:
        if column.reason != "excluded by the job":
            logger.warning("column %s is left out, %s; set %s.%s if it is to be learned", column.name, column.reason, FIELD, column.name)
    encoded = codec.encode(rows.slice(0, MAX_ROWS // 10))
    numbers = {
        column.name: column.numbers(encoded[:, place]) for place, column in enumerate(codec.columns) if isinstance(column, NumberColumn)
    }
    for text, rule, share in zip(codec.rules, codec.parsed_rules, share_kept(codec.parsed_rules, codec.by_name, numbers), strict=True):
        if share < MIN_KEPT and not isinstance(rule, Unique):
            logger.warning("the rule %s holds in %.1f%% of the data's rows; it will hold in all that are written", text, 100 * share)
