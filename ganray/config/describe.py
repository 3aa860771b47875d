"""Reference of the job file: every field with its type, bounds, default and meaning; and paths and values of fields in few letters."""

from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import Any, TypedDict

from pydantic import TypeAdapter
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from ganray.config.fields import Section, bound_text, kind_of, sections_in
from ganray.config.job import Job
from ganray.config.schedules import Cosine


class FieldDescription(TypedDict):
    """A field's dotted path, type with bounds, default and meaning."""

    field: str
    type: str
    default: str
    meaning: str


def describe_fields() -> list[FieldDescription]:
    """Return the description of every field, in the order of the sections."""
    return list(_rows(Job, ""))


def _rows(section: type[Section], path: str) -> Iterator[FieldDescription]:
    for name, field in section.model_fields.items():
        sections = sections_in(field.annotation)
        if not sections or issubclass(sections[0], Cosine):
            default = "required" if field.default is PydanticUndefined else repr(field.default)
            yield {
                "field": f"{path}{name}",
                "type": _type(field),
                "default": default,
                "meaning": field.description or section.__doc__ or "",
            }
            continue
        for below in sections:
            tag = f"[{kind_of(below)}]" if len(sections) > 1 else ""
            yield from _rows(below, f"{path}{name}{tag}.")


def _type(field: FieldInfo) -> str:
    """Return a field's type, with its bounds."""
    annotation: Any = field.annotation
    schema = TypeAdapter(annotation).json_schema() | _bounds(field)
    return " or ".join(_kind(kind, schema) for kind in schema.get("anyOf") or schema.get("oneOf") or [schema])


def _kind(kind: dict[str, Any], schema: dict[str, Any]) -> str:
    """Return one alternative of a type, with its bounds."""
    if "$ref" in kind:
        return "{start, end, images} of a cosine"
    bounded = schema | kind
    lower = [(bounded[key], sign) for key, sign in (("exclusiveMinimum", ">"), ("minimum", ">=")) if key in bounded]
    upper = [(bounded[key], sign) for key, sign in (("exclusiveMaximum", "<"), ("maximum", "<=")) if key in bounded]
    narrowest = [choose(sides, key=itemgetter(0)) for choose, sides in ((max, lower), (min, upper)) if sides]  # of equal ones the first
    limits = [f"{sign} {bound_text(bound)}" for bound, sign in narrowest]
    return ", ".join([str(kind.get("enum") or kind.get("const") or kind.get("type", "value")), *limits])


def _bounds(field: FieldInfo) -> dict[str, Any]:
    """Return the narrowest bounds of a field: those of its type are among them."""
    names = {"ge": ("minimum", max), "gt": ("exclusiveMinimum", max), "le": ("maximum", min), "lt": ("exclusiveMaximum", min)}
    found = {name: [value for bound in field.metadata if (value := getattr(bound, name, None)) is not None] for name in names}
    return {key: narrowest(found[name]) for name, (key, narrowest) in names.items() if found[name]}


def short(value: Any) -> str:
    """Return a value in few letters: a number with four digits, "" for none."""
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def short_paths(paths: Sequence[str]) -> dict[str, str]:
    """Return the last parts of each dotted path, at least two, that tell it from the others."""
    found = {}
    for path in paths:
        parts = path.split(".")
        endings = (".".join(parts[-count:]) for count in range(2, len(parts) + 1))
        found[path] = next((ending for ending in endings if sum(f".{other}".endswith(f".{ending}") for other in paths) == 1), path)
    return found
