"""Rows of a table as they are asked for: columns that are given, and rows of which no two may be equal."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self, cast

import numpy as np
import torch
from torch import Tensor

from ganray.config.fields import shortened
from ganray.config.modalities.table import Unique, columns_of
from ganray.errors import ConfigError, plural
from ganray.gan.layouts.table import TableLayout
from ganray.gan.networks.table import TableGenerator
from ganray.modalities.codec import Codec, Samples
from ganray.registry.artifact import PublishedGenerator

if TYPE_CHECKING:
    from ganray.modalities.table.codec import TableCodec  # which needs pyarrow, as commands for other kinds do not
    from ganray.modalities.table.column import Column

OPTION = "--where"
MAX_NAMED = 12  # values that an error names


def given_codes(generator: PublishedGenerator, where: Mapping[str, str]) -> tuple[tuple[int, int], ...]:
    """Return the columns that are given, by number, and their codes. Raises `ConfigError` for a column or value that is not there."""
    if not where:
        return ()
    if generator.codec.kind != "table":
        raise ConfigError(OPTION, f"is for tables, and this generator makes {generator.codec.noun}", "leave it out")
    codec = cast("TableCodec", generator.codec)
    if not isinstance(generator.network, TableGenerator) or not generator.network.takes_given:
        raise ConfigError(OPTION, "this generator has not learned to complete rows", "train with networks.given=0.5")
    codes = tuple(_given(codec, name, text) for name, text in where.items())
    for number, code in codes:
        _check_rules(codec, number, code)
    return codes


def _check_rules(codec: "TableCodec", number: int, code: int) -> None:
    """Raise `ConfigError` for a number that is given in a column which a rule changes where it has to; a missing one stays missing."""
    from ganray.modalities.table.column import NumberColumn

    column = codec.columns[number]
    if not isinstance(column, NumberColumn) or np.isnan(column.numbers(np.array([code], np.uint16)))[0]:
        return
    for text, rule in zip(codec.rules, codec.parsed_rules, strict=True):
        if not isinstance(rule, Unique) and column.name in columns_of(rule):
            problem = f"{column.name} is in the rule {text}, which may change what is given"
            raise ConfigError(OPTION, problem, "give other columns, or train without the rule")


def _given(codec: "TableCodec", name: str, text: str) -> tuple[int, int]:
    if name not in codec.by_name:
        raise ConfigError(OPTION, f"there is no column {shortened(name)}", f"use one of {', '.join(codec.names[:MAX_NAMED])}")
    code = codec.by_name[name].code_of(text)
    if code is None:
        raise ConfigError(OPTION, f"{name} is never {shortened(text)}", f"use {_known(codec.by_name[name])}")
    return codec.names.index(name), code


def _known(column: "Column") -> str:
    """Return which values a column has, as an error names them."""
    from ganray.modalities.table.column import CategoryColumn

    if isinstance(column, CategoryColumn):
        values = [value or "''" for value in column.values]
        return f"one of {', '.join(values[:MAX_NAMED])}{', ...' if len(values) > MAX_NAMED else ''}"
    numbers = column.numbers(np.arange(column.num_codes, dtype=np.uint16))
    low, high = (column.format.write(float(bound)) for bound in (np.nanmin(numbers), np.nanmax(numbers)))
    return f"{low} to {high}"


def conditions(generator: PublishedGenerator, given: Sequence[tuple[int, int]]) -> Tensor:
    """Return the conditions [1, ...] of rows in which some columns, by number, have given codes, on the generator's device."""
    layout = generator.layout
    assert isinstance(layout, TableLayout)
    device = next(generator.parameters()).device
    codes = torch.zeros(1, *generator.codec.shape, dtype=torch.int64, device=device)
    known = torch.zeros(1, *generator.codec.shape, device=device)
    for column, code in given:
        codes[0, column], known[0, column] = code, 1.0
    return layout.conditions(layout.from_samples(codes), known)


@dataclass
class UniqueRows:
    """Passes the rows of a table that repeat none before, by its rules of unique columns."""

    codec: "TableCodec"
    rules: Sequence[Unique]
    seen: list[set[tuple[object, ...]]] = field(default_factory=list)

    @classmethod
    def of(cls, codec: Codec) -> Self | None:
        """Return what a codec's rules ask for, None if they ask for nothing of the kind."""
        rules = cast("TableCodec", codec).unique_rules if codec.kind == "table" else []
        return cls(cast("TableCodec", codec), rules) if rules else None

    def filtered(self, chunks: Iterable[Samples], num: int) -> Iterator[Samples]:
        """Yield chunks without repetitions, until `num` rows are passed. Raises `ConfigError` where that many are not found."""
        passed = 0
        for chunk in chunks:
            kept = chunk[self.select(chunk)]
            passed += len(kept)
            if len(kept):
                yield kept
            if passed >= num:
                return
        rules = ", ".join(f"unique {', '.join(rule.columns)}" for rule in self.rules)
        raise ConfigError("--num", f"only {plural(passed, 'row')} were found that keep the rule {rules}", "ask for fewer")

    def select(self, chunk: Samples) -> list[int]:
        """Return which rows of a chunk repeat none before, and remember them."""
        self.seen = self.seen or [set() for _ in self.rules]
        texts = self.codec.texts(chunk)
        columns = [[texts[name].to_pylist() for name in rule.columns] for rule in self.rules]
        kept = []
        for row in range(len(chunk)):
            keys = [tuple(values[row] for values in rule) for rule in columns]
            if not any(key in seen for key, seen in zip(keys, self.seen, strict=True)):
                kept.append(row)
                for key, seen in zip(keys, self.seen, strict=True):
                    seen.add(key)
        return kept
