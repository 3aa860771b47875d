"""The dimensions of a sweep's space: how people write them, and the values that they have.

Searchers see codes: of a range the values themselves, of finitely many values their places, which every searcher can take.
"""

import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from ganray.config.fields import LIMIT, FieldError, Integer, Real, Section, shortened

MAX_STEPS = 100_000


def _number(value: Any) -> Any:
    """Read `1e-3` as the number that it is: YAML reads it as text."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


Scalar = Annotated[bool | int | float | str | list[Any] | None, BeforeValidator(_number)]


class _Range(Section):
    """Two ends, of which the lower comes first."""

    low: Real
    high: Real

    @model_validator(mode="after")
    def _low_is_lower(self) -> "_Range":
        if self.low >= self.high:
            raise FieldError(f"[{self.low:g}, {self.high:g}] is an empty range", "write the lower end first")
        return self


class _Continuous(_Range):
    """A range of real numbers."""

    def contains(self, value: Any) -> bool:
        return isinstance(value, int | float) and self.low <= value <= self.high

    def encode(self, value: Any) -> float:
        return float(value)

    def decode(self, code: Any) -> float:
        return float(code)


class _Finite:
    """Finitely many values, in the order of `all_values`."""

    def all_values(self) -> Sequence[Any]:
        raise NotImplementedError

    def at(self, quantile: float) -> Any:
        return self.decode(quantile * len(self.all_values()))

    def contains(self, value: Any) -> bool:
        return value in self.all_values()

    def encode(self, value: Any) -> int:
        return self.all_values().index(value)

    def decode(self, code: Any) -> Any:
        return self.all_values()[int(code)]


class LogUniform(_Continuous):
    """Between two positive ends, even in the logarithm."""

    kind: Literal["loguniform"] = "loguniform"

    @model_validator(mode="after")
    def _has_logarithm(self) -> "LogUniform":
        if self.low <= 0:
            raise FieldError(f"{self.low:g} has no logarithm", "use a lower end above 0, or uniform")
        return self

    def at(self, quantile: float) -> float:
        """Return the value of a quantile, 0 to below 1."""
        return math.exp(math.log(self.low) + quantile * (math.log(self.high) - math.log(self.low)))


class Uniform(_Continuous):
    """Between two ends."""

    kind: Literal["uniform"] = "uniform"

    def at(self, quantile: float) -> float:
        """Return the value of a quantile, 0 to below 1."""
        return self.low + quantile * (self.high - self.low)


class QUniform(_Finite, _Range):
    """Multiples of a step between two ends, both included where the step reaches them."""

    kind: Literal["quniform"] = "quniform"
    step: Real = Field(gt=0)

    @model_validator(mode="after")
    def _steps_fit(self) -> "QUniform":
        if self.step > self.high - self.low:
            raise FieldError(f"a step of {self.step:g} does not fit into [{self.low:g}, {self.high:g}]", "use a smaller one")
        if (self.high - self.low) / self.step > MAX_STEPS:
            raise FieldError(f"[{self.low:g}, {self.high:g}] has too many steps of {self.step:g}", f"use {MAX_STEPS:,} at most, or uniform")
        return self

    def all_values(self) -> list[float]:
        """Return all values, whole numbers where ends and step are."""
        num_steps = math.floor((self.high - self.low) / self.step + 1e-9) + 1
        values = [self.low + number * self.step for number in range(num_steps)]
        is_whole = float(self.low).is_integer() and float(self.step).is_integer()
        return [int(value) if is_whole else float(f"{value:.12g}") for value in values]


class RandInt(_Finite, Section):
    """A whole number from `low` up to, but without, `high`."""

    kind: Literal["randint"] = "randint"
    low: Integer
    high: Integer

    @model_validator(mode="after")
    def _low_is_lower(self) -> "RandInt":
        if self.low >= self.high:
            raise FieldError(f"[{self.low}, {self.high}) is an empty range", "write the lower end first (the upper one is left out)")
        if self.high - self.low >= LIMIT:
            raise FieldError(f"[{self.low}, {self.high}) has too many values", "use fewer than 2^63")
        return self

    def all_values(self) -> range:
        """Return all values."""
        return range(self.low, self.high)


class Choice(_Finite, Section):
    """One of some values."""

    kind: Literal["choice"] = "choice"
    values: list[Scalar] = Field(min_length=1)

    def all_values(self) -> list[Any]:
        """Return all values."""
        return self.values


PARTS = {"loguniform": 2, "uniform": 2, "quniform": 3, "randint": 2}
RANGES = "write one of {loguniform: [low, high]}, {uniform: [low, high]}, {quniform: [low, high, step]}, {randint: [low, high]}, "
RANGES += "{choice: [a, b]}"


def _from_short(value: Any) -> Any:
    """Read `{loguniform: [1e-5, 1e-2]}`, as people write it."""
    if isinstance(value, dict) and "kind" in value:
        return value
    if not isinstance(value, dict) or len(value) != 1 or next(iter(value)) not in (*PARTS, "choice"):
        raise FieldError(f"expected a range, got {shortened(value)}", RANGES)
    ((kind, ends),) = value.items()
    if kind == "choice":
        return {"kind": kind, "values": ends}
    if not isinstance(ends, list) or len(ends) != PARTS.get(kind, len(ends)):
        ends = ", ".join(("low", "high", "step")[: PARTS.get(kind, 2)])
        raise FieldError(f"{kind} takes a list of numbers", f"write [{ends}]")
    return {"kind": kind, **dict(zip(("low", "high", "step"), ends, strict=False))}


Dimension = Annotated[
    Annotated[LogUniform | Uniform | QUniform | RandInt | Choice, Field(discriminator="kind")], BeforeValidator(_from_short)
]


def in_words(dimension: Dimension) -> str:
    """Return a dimension as a plan of the sweep shows it."""
    if isinstance(dimension, Choice):
        return f"choice of {', '.join(map(str, dimension.values))}"
    step = f" by {dimension.step:g}" if isinstance(dimension, QUniform) else ""
    return f"{dimension.kind} from {dimension.low:g} to {dimension.high:g}{step}"


def flat_space(space: Any, path: str = "") -> Any:
    """Join nested sections, which is what an override like sweep.space.train.batch_size={choice: [64, 128]} makes, to dotted paths."""
    if not isinstance(space, dict) or isinstance(space.get("kind"), str) or space.keys() & {*PARTS, "choice"}:
        return space
    flat: dict[str, Any] = {}
    for name, value in space.items():
        below = flat_space(value, f"{path}{name}.")
        items = {f"{name}.{rest}": item for rest, item in below.items()} if below is not value else {name: value}
        if repeated := flat.keys() & items.keys():
            raise FieldError(f"{path}{min(repeated)} is there twice", "write each field once")
        flat |= items
    return flat
