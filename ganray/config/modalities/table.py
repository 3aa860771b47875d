"""Tables, as samples: types of columns, and rules that every written row keeps."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, model_validator

from ganray.config.fields import FieldError, Real, Section, Text, shortened

ColumnTypeName = Literal["auto", "integer", "number", "date", "boolean", "category", "exclude"]
MAX_COLUMNS = 2000


class ColumnOptions(Section):
    """How one column is taken. A type alone may stand for the section."""

    type: ColumnTypeName = Field("auto", description="auto: found from the values; exclude: the column is left out")
    format: Text | None = Field(None, description="of dates, as strptime has it, such as %d/%m/%Y; null: found from the values")

    @model_validator(mode="after")
    def _format_is_of_dates(self) -> "ColumnOptions":
        if self.format is not None and self.type not in ("auto", "date"):
            raise FieldError(f"is for dates, and the type is {self.type}", "leave it out", field="format")
        return self


@dataclass(frozen=True)
class Ordered:
    """`low <= high`: numbers or dates in this order, where they are not missing."""

    columns: tuple[str, ...]


@dataclass(frozen=True)
class Sum:
    """`total = a + b`: a number that is the sum of others, where none is missing."""

    total: str
    parts: tuple[str, ...]


@dataclass(frozen=True)
class Unique:
    """`unique a, b`: no two rows have the same values in all of these columns."""

    columns: tuple[str, ...]


Rule = Ordered | Sum | Unique
REMEDY = "write it like low <= high, total = first + second, or unique name, day"


class TableModality(Section):
    """Rows of a table, uint16 [columns]: numbers as levels of their distribution, categories by number."""

    kind: Literal["table"] = "table"
    columns: dict[Text, Annotated[ColumnTypeName | ColumnOptions, Field(union_mode="left_to_right")]] = Field(
        {}, description="a column's type, by its name, where the one that is found is wrong; or {type, format}"
    )
    rules: list[Text] = Field([], description="hold in every row that is written: low <= high, total = first + second, unique name, day")
    target: Text | None = Field(
        None, description="column that classifiers predict from the others for metric/tstr; null: the last category of few values"
    )
    holdout: Real = Field(0.1, ge=0, le=0.5, description="fraction of the rows, spread evenly, that scores are measured on, not trained on")

    @property
    def parsed_rules(self) -> list[Rule]:
        """The rules."""
        return [parse_rule(rule) for rule in self.rules]

    def options(self, name: str) -> ColumnOptions:
        """Return how a column is taken."""
        found = self.columns.get(name, "auto")
        return found if isinstance(found, ColumnOptions) else ColumnOptions(type=found)

    @model_validator(mode="after")
    def _rules_fit_together(self) -> "TableModality":
        seen: set[str] = set()
        for number, rule in enumerate(self.parsed_rules):
            names = rule.columns if isinstance(rule, Ordered) else (rule.total, *rule.parts) if isinstance(rule, Sum) else ()
            if twice := next((name for name in names if name in seen), None):
                raise FieldError(f"{twice} stands in two of them, of which one could break the other", "keep one", field=f"rules.{number}")
            seen |= set(names)
            if excluded := next((name for name in columns_of(rule) if self.options(name).type == "exclude"), None):
                raise FieldError(f"{excluded} is excluded", "take it out of one of the two", field=f"rules.{number}")
        return self


def columns_of(rule: Rule) -> tuple[str, ...]:
    """Return the columns that a rule names."""
    return (rule.total, *rule.parts) if isinstance(rule, Sum) else rule.columns


def parse_rule(text: str) -> Rule:
    """Return a rule as a job writes it. Raises `FieldError` for another text."""
    if text.startswith("unique "):
        return Unique(_names(text.removeprefix("unique "), ",", text, minimum=1))
    if "<=" in text:
        return Ordered(_names(text, "<=", text, minimum=2))
    total, equals, parts = text.partition("=")
    if not equals:
        raise FieldError(f"{shortened(text)} is no rule", REMEDY, field="rules")
    (name,) = _names(total, "=", text, minimum=1)
    return Sum(name, _names(parts, "+", text, minimum=1))


def _names(text: str, separator: str, rule: str, *, minimum: int) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(separator))
    if not all(names) or len(names) < minimum or len(set(names)) < len(names):
        raise FieldError(f"{shortened(rule)} is no rule", REMEDY, field="rules")
    return names
