"""Field types that several sections of a job file share, and the error that their validators raise."""

import os
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin
from urllib.parse import unquote

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticKnownError

from ganray.config.reading.places import place_problem
from ganray.errors import CREDENTIALS


class FieldError(ValueError):
    """What a validator of a section raises: the problem, the remedy, and the field as a dotted path below that section.

    Without a `field` it is the value under validation itself. pydantic passes it through, and `check_job` makes it a `ConfigError`.
    """

    def __init__(self, problem: str, remedy: str, *, field: str = "") -> None:
        super().__init__(f"{problem}; {remedy}")
        self.problem, self.remedy, self.field = problem, remedy, field


class Section(BaseModel):
    """A part of the job file: an unknown key is an error, numbers are finite, and nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, defer_build=True)

    if not TYPE_CHECKING:  # type checkers see the signature that pydantic makes of the fields

        def __init__(self, **data: Any) -> None:
            try:
                super().__init__(**data)
            except ValidationError as error:
                from ganray.config.problems import explain  # it knows sections, which are made here

                raise explain(error, data, type(self)) from None

        __init__.__pydantic_base_init__ = True  # a section within another is validated by pydantic, with its place for errors


def _real_number(value: object) -> object:
    """Refuse booleans, which Python counts among the numbers."""
    if isinstance(value, bool):
        raise PydanticKnownError("float_type")
    return value


def _whole_number(value: object) -> object:
    """Accept `1e6` and `1_000_000` for an integer, which may come as text, and no boolean."""
    if isinstance(value, bool):
        raise PydanticKnownError("int_type")
    if not isinstance(value, str):
        return value
    try:
        return int(value)
    except ValueError:
        pass
    try:
        number = float(value)
    except ValueError:
        return value
    return int(number) if number.is_integer() else value


def _text(value: object) -> object:
    """Accept a `pathlib.Path`, and neither NUL nor what is not UTF-8, which no JSON, card or name of a column can have."""
    text = os.fspath(value) if isinstance(value, os.PathLike) else value
    if isinstance(text, str):
        if "\0" in text:
            raise FieldError(f"{shortened(text)} has a NUL character", "leave it out")
        if not is_utf8(text):
            raise PydanticKnownError("string_unicode")
    return text


def _place(text: str) -> str:
    """Refuse what is neither a path nor a URI that ganray opens, and a URI with credentials, since a job is printed and published."""
    if problem := place_problem(text):
        raise FieldError(*problem)
    if CREDENTIALS.search(unquote(text)):
        raise FieldError("the URI contains credentials", "remove them, and set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    return text


PLACE = AfterValidator(_place)
LIMIT = 1 << 63  # integers are stored, and given to PyTorch, in 64 bits
Integer = Annotated[int, BeforeValidator(_whole_number), Field(ge=-LIMIT, lt=LIMIT)]
Count = Annotated[int, BeforeValidator(_whole_number), Field(ge=0, lt=LIMIT)]
PositiveCount = Annotated[int, BeforeValidator(_whole_number), Field(ge=1, lt=LIMIT)]
Real = Annotated[float, BeforeValidator(_real_number)]  # finite, as all numbers of a section
Text = Annotated[str, BeforeValidator(_text)]
Place = Annotated[str, PLACE, BeforeValidator(_text)]  # a path or URI
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
NAME_CHARACTERS = "1 to 64 lower-case letters, digits, dots, hyphens and underscores"
MAX_SHOWN = 60  # characters of a value that an error repeats


def shortened(value: object) -> str:
    """Return a value as Python writes it, at most 60 characters of it."""
    try:
        text = repr(value)
    except ValueError:  # Python writes no integer of thousands of digits
        return "a number of thousands of digits"
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."


def is_utf8(text: str) -> bool:
    """Return whether a text can be written as UTF-8: the command line's bytes, and escapes, may be beyond."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def bound_text(bound: float) -> str:
    """Return the bound of a number as a message has it."""
    return f"{'-' if bound < 0 else ''}2^63" if abs(bound) == LIMIT else f"{bound:g}"


def kind_or(default: str) -> BeforeValidator:
    """Let a section of a union be written without its `kind`, which then is `default`, or by its kind alone: `loss: hinge`."""

    def add_kind(value: object) -> object:
        if isinstance(value, str):
            return {"kind": value}
        return {"kind": default, **value} if isinstance(value, dict) else value

    return BeforeValidator(add_kind)


def types_in(annotation: Any) -> set[Any]:
    """Return the types that a field may have, without their bounds."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return types_in(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return {kind for part in get_args(annotation) for kind in types_in(part)}
    return {annotation}


def is_text(annotation: Any) -> bool:
    """Return whether a field is text, or may be null beside it: what is typed for it is no number, boolean, list or section."""
    return types_in(annotation) - {NoneType} == {str}


def sections_in(annotation: Any) -> list[type[Section]]:
    """Return the sections that a field's type allows, in the order in which they stand there."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [section for part in get_args(annotation) for section in sections_in(part)]


def kind_of(section: type[Section]) -> str | None:
    """Return the `kind` by which a section of a union is chosen, None for other sections."""
    field = section.model_fields.get("kind")
    return field.default if field else None


def is_place(field: FieldInfo) -> bool:
    """Return whether a field is a `Place`, perhaps an optional one."""
    return PLACE in field.metadata or any(PLACE in get_args(part)[1:] for part in get_args(field.annotation))
