"""Field types that several sections of a job file share, and the error that their validators raise."""

from typing import Annotated, Any, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


class FieldError(ValueError):
    """What a validator of a section raises: the problem, the remedy, and the field as a dotted path below that section.

    Without a `field` it is the value under validation itself. pydantic passes it through, and `check_job` makes it a `ConfigError`.
    """

    def __init__(self, problem: str, remedy: str, *, field: str = "") -> None:
        super().__init__(f"{problem}; {remedy}")
        self.problem, self.remedy, self.field = problem, remedy, field


class Section(BaseModel):
    """A part of the job file: an unknown key is an error, and nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _whole_number(value: object) -> object:
    """Accept `1e6` and `1_000_000` for a count: YAML reads the first as a string."""
    if isinstance(value, str):
        try:
            number = float(value)
        except ValueError:
            return value
        return int(number) if number.is_integer() else value
    return value


Count = Annotated[int, BeforeValidator(_whole_number), Field(ge=0)]
PositiveCount = Annotated[int, BeforeValidator(_whole_number), Field(ge=1)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
NAME_CHARACTERS = "1 to 64 lower-case letters, digits, dots, hyphens and underscores"


def kind_or(default: str) -> BeforeValidator:
    """Let a section of a union be written without its `kind`, which then is `default`."""

    def add_kind(value: object) -> object:
        return {"kind": default, **value} if isinstance(value, dict) else value

    return BeforeValidator(add_kind)


def sections_in(annotation: Any) -> list[type[Section]]:
    """Return the sections that a field's type allows, in the order in which they stand there."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [section for part in get_args(annotation) for section in sections_in(part)]


def kind_of(section: type[Section]) -> str | None:
    """Return the `kind` by which a section of a union is chosen, None for other sections."""
    field = section.model_fields.get("kind")
    return field.default if field else None
