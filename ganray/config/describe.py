"""Every field of a job file with its type, default and meaning, for people who write one."""

from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from ganray.config.job import Job


def describe_fields() -> list[dict[str, Any]]:
    """Return a row a field: dotted path, type with bounds, default, meaning."""
    return list(_rows(Job, ""))


def _rows(section: type[BaseModel], path: str) -> Iterator[dict[str, Any]]:
    for name, field in section.model_fields.items():
        models = [
            kind for kind in (*get_args(field.annotation), field.annotation) if isinstance(kind, type) and issubclass(kind, BaseModel)
        ]
        for model in models:
            tag = f"[{model.model_fields['kind'].default}]" if len(models) > 1 else ""
            yield from _rows(model, f"{path}{name}{tag}.")
        if not models:
            default = "required" if field.default is PydanticUndefined else repr(field.default)
            yield {"field": f"{path}{name}", "type": _type(field), "default": default, "meaning": field.description or section.__doc__}


def _type(field: FieldInfo) -> str:
    """Return a field's type as people read it, with its bounds."""
    from pydantic import TypeAdapter

    schema = TypeAdapter(field.annotation).json_schema() | _bounds(field)
    kinds = schema.get("anyOf", [schema])
    text = " or ".join(str(kind.get("enum") or kind.get("const") or kind.get("type", "value")) for kind in kinds)
    limits = [
        f"{sign} {schema[key]}"
        for key, sign in (("minimum", ">="), ("exclusiveMinimum", ">"), ("maximum", "<="), ("exclusiveMaximum", "<"))
        if key in schema
    ]
    return ", ".join([text, *limits])


def _bounds(field: FieldInfo) -> dict[str, Any]:
    names = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}
    return {key: getattr(bound, name) for bound in field.metadata for name, key in names.items() if getattr(bound, name, None) is not None}
