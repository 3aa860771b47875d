"""Validation errors of a job file as one `ConfigError`: the field as the user typed it, what was expected there, and a remedy."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticUndefined

from ganray.config.fields import NAME_CHARACTERS, FieldError, Section, bound_text, kind_of, sections_in, shortened
from ganray.config.renamed import new_path
from ganray.errors import ConfigError, enumerated

Location = tuple[int | str, ...]

EXPECTED = {  # pydantic's type of an error -> what was expected, filled in from the error's context
    "int_type": "an integer",
    "int_parsing": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "text",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a section of `key: value` lines",
    "model_type": "a section of `key: value` lines",
    "model_attributes_type": "a section of `key: value` lines",
    "literal_error": "{expected}",
    "finite_number": "a finite number",
    "int_parsing_size": "an integer",
    "string_unicode": "text in UTF-8",
    "greater_than": "a number greater than {gt}",
    "greater_than_equal": "a number of at least {ge}",
    "less_than": "a number less than {lt}",
    "less_than_equal": "a number of at most {le}",
    "too_short": "at least {min_length} of them",
    "too_long": "at most {max_length} of them",
    "string_too_short": "at least {min_length} characters",
    "string_too_long": "at most {max_length} characters",
    "string_pattern_mismatch": NAME_CHARACTERS,
}
HELP = "see `ganray config JOB --fields`"


def explain(error: ValidationError, data: Mapping[str, Any], root: type[Section]) -> ConfigError:
    """Return the first problem that pydantic found in the data of a section, as of a job, as field, problem and remedy."""
    first, *others = error.errors()
    location, field = first["loc"], _typed_path(root, first["loc"], data)
    match first["type"]:
        case "value_error":
            return _refused(_typed_path(root, _without_tag(location, data), data), first["ctx"]["error"])
        case "extra_forbidden" if new_path(field):
            return _renamed(field, first["input"])
        case "extra_forbidden":
            return ConfigError(field, "there is no such field", _known_fields(root, location))
        case "missing" if isinstance(location[-1], int):
            return ConfigError(field, f"expected more items, got {shortened(first['input'])}", HELP)
        case "missing":
            return ConfigError(field, "is missing", f"add it, as in {field}=...")
        case "union_tag_invalid":
            tags = " or ".join(first["ctx"]["expected_tags"].split(", "))
            return ConfigError(f"{field}.kind", f"expected {tags}, got {first['ctx']['tag']!r}", HELP)
    alternatives = [first, *(other for other in others if _typed_path(root, other["loc"], data) == field)]
    return _unexpected(root, field, alternatives)


def _without_tag(location: Location, data: Any) -> Location:
    """Return the location of a value that a validator refused without the tag of a union at its end, which is not in the data."""
    for part in location[:-1]:
        is_item = isinstance(data, list) and isinstance(part, int)
        data = data[part] if is_item or (isinstance(data, Mapping) and part in data) else data
    is_tag = isinstance(data, Mapping) and bool(location) and location[-1] not in data and "." not in str(location[-1])
    return location[:-1] if is_tag else location


def _refused(field: str, error: ValueError) -> ConfigError:
    """Return the error that a validator of ours raised at a field."""
    if isinstance(error, FieldError):
        return ConfigError(".".join(part for part in (field, error.field) if part), error.problem, error.remedy)
    return ConfigError(field, str(error), HELP)


def _unexpected(root: type[Section], field: str, alternatives: list[ErrorDetails]) -> ConfigError:
    """Return the error for a value that none of the types of a field accepts; those that accept most of it are named."""
    depth = max(len(error["loc"]) for error in alternatives)
    deepest = [error for error in alternatives if len(error["loc"]) == depth]
    expected = " or ".join(dict.fromkeys(_expected(error) for error in deepest))
    value = deepest[0]["input"]
    return ConfigError(field, f"expected {expected}, got {_shown(value)}", _remedy(root, deepest[0]["loc"]))


def _expected(error: ErrorDetails) -> str:
    """Return what was expected; pydantic's own words for the types of errors that no field of a job raises today."""
    context = {name: bound_text(value) if isinstance(value, int | float) else value for name, value in error.get("ctx", {}).items()}
    template = EXPECTED.get(error["type"])
    return template.format(**context) if template else error["msg"].removeprefix("Input should be ")


def _remedy(root: type[Section], location: Location) -> str:
    """Return a field's default, or else where fields are described."""
    info = _find(root, location)[2]
    if info is None or info.default is PydanticUndefined or isinstance(info.default, Section):
        return HELP
    return f"the default is {'null' if info.default is None else info.default}"


def _shown(value: object) -> str:
    """Return a value in few letters; null and booleans as YAML has them."""
    return str(value).lower() if isinstance(value, bool) else "null" if value is None else shortened(value)


def _typed_path(root: type[Section], location: Location, data: Any) -> str:
    """Return the dotted path as the user typed it: pydantic's location without the tags of unions and the indices of values in lists.

    A section in a list has its index, from 0.
    """
    typed = []
    for depth, part in enumerate(location):
        is_section = isinstance(data, list) and isinstance(part, int) and _holds_sections(root, location[:depth])
        if is_section or (isinstance(data, Mapping) and part in data):
            data = data[part]
        elif isinstance(data, Mapping) and "." in str(part):
            data = _nested(data, str(part))
        elif depth < len(location) - 1 or not isinstance(data, Mapping):
            continue
        typed.append(str(part) or "''")
    return ".".join(typed)


def _holds_sections(root: type[Section], location: Location) -> bool:
    """Whether the list at a location is one of sections."""
    info = _find(root, location)[2]
    return info is not None and bool(sections_in(info.annotation))


def _nested(sections: Any, path: str) -> Any:
    """Return what is at a dotted path of nested sections, as an override of sweep.space makes them, None where nothing is."""
    for key, below in sections.items() if isinstance(sections, Mapping) else ():
        if path == key:
            return below
        if path.startswith(f"{key}."):
            return _nested(below, path.removeprefix(f"{key}."))
    return None


def _renamed(path: str, value: object) -> ConfigError:
    """Return the error for an old name; of a section, for the first field in it."""
    field = f"{path}.{next(iter(value))}" if isinstance(value, Mapping) and value else path
    return ConfigError(field, "there is no such field", f"it is now {new_path(field)}")


def _known_fields(root: type[Section], location: Location) -> str:
    """Return the kinds that have a field which this kind has not, the one that a typo meant, or all there are."""
    section, siblings, _ = _find(root, location[:-1])
    kinds = [kind for other in siblings if location[-1] in other.model_fields and (kind := kind_of(other))]
    if kinds:
        takers = f"kind {kinds[0]} takes it" if len(kinds) == 1 else f"kinds {enumerated(kinds)} take it"
        return f"{takers}, kind {kind_of(section)} does not"
    names = list(section.model_fields)
    close = get_close_matches(str(location[-1]), names, n=1)
    return f"did you mean {close[0]}?" if close else f"there are {', '.join(names)}"


def _find(root: type[Section], location: Location) -> tuple[type[Section], list[type[Section]], FieldInfo | None]:
    """Return the section at a location, following the tags that pydantic adds for unions, those that could stand there, and its field."""
    section: type[Section] = root
    siblings: list[type[Section]] = [root]
    info: FieldInfo | None = None
    for part in location:
        tagged = [sibling for sibling in siblings if part == kind_of(sibling)]
        if tagged:
            section = tagged[0]
        elif isinstance(part, str) and part in section.model_fields:
            info = section.model_fields[part]
            siblings = sections_in(info.annotation)
            section = siblings[0] if siblings else section
    return section, siblings, info
