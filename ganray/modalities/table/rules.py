"""Rules that hold in every written row: orders, sums, and unique rows."""

from collections.abc import Mapping, Sequence

import numpy as np

from ganray.config.modalities.table import Ordered, Rule, Sum, Unique, columns_of
from ganray.errors import ConfigError
from ganray.modalities.table.column import Column, NumberColumn, Numbers

FIELD = "data.modality.rules"


def check_rules(rules: Sequence[Rule], columns: Mapping[str, Column]) -> None:
    """Raise `ConfigError` for a rule of columns that are not there, or hold other values than it needs."""
    for rule in rules:
        for name in columns_of(rule):
            if name not in columns:
                raise ConfigError(FIELD, f"there is no column {name} among those that are learned", f"name one of {', '.join(columns)}")
            if not isinstance(rule, Unique) and not isinstance(columns[name], NumberColumn):
                raise ConfigError(
                    FIELD, f"{name} is a {columns[name].type}, not a number", f"set data.modality.columns.{name}, or drop the rule"
                )
        kinds = {_unit(columns[name]) for name in columns_of(rule)}
        if isinstance(rule, Sum) and kinds != {None}:
            raise ConfigError(FIELD, "dates have no sum", "drop the rule")
        if isinstance(rule, Ordered) and len(kinds) > 1:
            raise ConfigError(FIELD, f"{' and '.join(rule.columns)} are of different types", "compare numbers, dates, or dates with times")


def _unit(column: Column) -> int | None:
    """Return the seconds of a date's unit, None for another column."""
    return column.format.unit if isinstance(column, NumberColumn) and column.format.date else None


def enforce(rules: Sequence[Rule], columns: Mapping[str, Column], numbers: dict[str, Numbers]) -> None:
    """Change the numbers of columns, each [N] and not a number where missing, so that orders and sums hold as they are written."""
    for rule in rules:
        match rule:
            case Ordered():
                _sort(rule, columns, numbers)
            case Sum():
                _add_up(rule, columns, numbers)


def share_kept(rules: Sequence[Rule], columns: Mapping[str, Column], numbers: Mapping[str, Numbers]) -> list[float]:
    """Return of each order and sum the share of rows in which it holds; 1 for unique ones, which a part of the rows cannot tell."""
    return [_share(rule, columns, numbers) for rule in rules]


def _share(rule: Rule, columns: Mapping[str, Column], numbers: Mapping[str, Numbers]) -> float:
    changed = {name: numbers[name].copy() for name in columns_of(rule)} if not isinstance(rule, Unique) else {}
    enforce([rule], columns, changed)
    equal = [np.isclose(values, numbers[name], rtol=1e-9, atol=1e-9, equal_nan=True) for name, values in changed.items()]
    return float(np.logical_and.reduce(equal).mean()) if equal else 1.0


def _sort(rule: Ordered, columns: Mapping[str, Column], numbers: dict[str, Numbers]) -> None:
    """Put the numbers of each row in order, the missing ones left where they are."""
    written = [_rounded(columns[name], numbers[name]) for name in rule.columns]
    values = np.stack(written, axis=1)  # [N, columns of the rule]
    is_there = ~np.isnan(values)
    places = np.argsort(~is_there, axis=1, kind="stable")  # those that are there first, in the rule's order
    ordered = np.sort(values, axis=1)  # not-a-number last
    np.put_along_axis(values, places, ordered, axis=1)
    highest = np.full(len(values), -np.inf)
    for place, name in enumerate(rule.columns):
        column = _rounded(columns[name], values[:, place])
        column = np.where(column < highest, _rounded_up(columns[name], highest), column)
        highest = np.fmax(highest, column)
        numbers[name] = column


def _add_up(rule: Sum, columns: Mapping[str, Column], numbers: dict[str, Numbers]) -> None:
    """Make the total the sum of its parts, wherever all of them are there."""
    parts = [_rounded(columns[name], numbers[name]) for name in rule.parts]
    numbers.update(zip(rule.parts, parts, strict=True))
    total = np.sum(parts, axis=0)
    is_known = ~np.isnan(total) & ~np.isnan(numbers[rule.total])
    numbers[rule.total] = np.where(is_known, total, numbers[rule.total])


def _rounded(column: Column, numbers: Numbers) -> Numbers:
    assert isinstance(column, NumberColumn)
    return column.format.rounded(numbers)


def _rounded_up(column: Column, numbers: Numbers) -> Numbers:
    """Return the least numbers that the column can write and that are not below."""
    assert isinstance(column, NumberColumn)
    if column.format.decimals is None:
        return numbers
    scale = 10.0**column.format.decimals
    return column.format.rounded(np.ceil(np.round(numbers * scale, 6)) / scale)
