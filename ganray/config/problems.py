"""Validation errors of a job file as one `ConfigError`: the field as the user typed it, what was expected there, and a remedy."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticUndefined

from ganray.config.fields import NAME_CHARACTERS, FieldError, Section, kind_of, sections_in
from ganray.config.job import Job
from ganray.config.renamed import new_path
from ganray.errors import ConfigError

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
    "greater_than": "a number greater than {gt:g}",
    "greater_than_equal": "a number of at least {ge:g}",
    "less_than": "a number less than {lt:g}",
    "less_than_equal": "a number of at most {le:g}",
    "too_short": "at least {min_length} of them",
    "too_long": "at most {max_length} of them",
    "string_too_short": "at least {min_length} characters",
    "string_too_long": "at most {max_length} characters",
    "string_pattern_mismatch": NAME_CHARACTERS,
}
MAX_VALUE = 60  # characters of a value that an error repeats
HELP = "see `ganray config JOB --fields`"


def explain(error: ValidationError, data: Mapping[str, Any]) -> ConfigError:
    """Return the first problem that pydantic found in a job's plain data as field, problem and remedy."""
    first, *others = error.errors()
    location, field = first["loc"], _typed_path(first["loc"], data)
    match first["type"]:
        case "value_error":
            return _refused(field, first["ctx"]["error"])
        case "extra_forbidden" if new_path(field):
            return _renamed(field, first["input"])
        case "extra_forbidden":
            return ConfigError(field, "there is no such field", _known_fields(location))
        case "missing" if isinstance(location[-1], int):
            return ConfigError(field, f"expected more items, got {_shortened(first['input'])}", HELP)
        case "missing":
            return ConfigError(field, "is missing", f"add it, as in {field}=...")
        case "union_tag_invalid":
            tags = " or ".join(first["ctx"]["expected_tags"].split(", "))
            return ConfigError(f"{field}.kind", f"expected {tags}, got {first['ctx']['tag']!r}", HELP)
    alternatives = [first, *(other for other in others if _typed_path(other["loc"], data) == field)]
    return _unexpected(field, alternatives)


def _refused(field: str, error: ValueError) -> ConfigError:
    """Return the error that a validator of ours raised at a field."""
    if isinstance(error, FieldError):
        return ConfigError(".".join(part for part in (field, error.field) if part), error.problem, error.remedy)
    return ConfigError(field, str(error), HELP)


def _unexpected(field: str, alternatives: list[ErrorDetails]) -> ConfigError:
    """Return the error for a value that none of the types of a field accepts; those that accept most of it are named."""
    depth = max(len(error["loc"]) for error in alternatives)
    deepest = [error for error in alternatives if len(error["loc"]) == depth]
    expected = " or ".join(dict.fromkeys(_expected(error) for error in deepest))
    value = deepest[0]["input"]
    return ConfigError(field, f"expected {expected}, got {_shortened(value)}", _remedy(field, deepest[0]["loc"], value))


def _expected(error: ErrorDetails) -> str:
    """Return what was expected; pydantic's own words for the types of errors that no field of a job raises today."""
    template = EXPECTED.get(error["type"])
    return template.format(**error.get("ctx", {})) if template else error["msg"].removeprefix("Input should be ")


def _remedy(field: str, location: Location, value: object) -> str:
    """Return how to choose a kind that was written without `kind`, else a field's default, else where fields are described."""
    _, siblings, info = _find(location)
    if value in [kind_of(sibling) for sibling in siblings] and info is not None and sections_in(info.annotation):
        return f"write {field}.kind={value}"
    if info is None or info.default is PydanticUndefined or isinstance(info.default, Section):
        return HELP
    return f"the default is {'null' if info.default is None else info.default}"


def _shortened(value: object) -> str:
    """Return a value as Python writes it, at most 60 characters of it."""
    text = repr(value)
    return text if len(text) <= MAX_VALUE else f"{text[:MAX_VALUE]}..."


def _typed_path(location: Location, data: Any) -> str:
    """Return the dotted path as the user typed it: pydantic's location without the tags of unions and the indices of lists."""
    typed = []
    for depth, part in enumerate(location):
        if isinstance(data, Mapping) and part in data:
            data = data[part]
        elif depth < len(location) - 1 or not isinstance(data, Mapping):
            continue
        typed.append(str(part))
    return ".".join(typed)


def _renamed(path: str, value: object) -> ConfigError:
    """Return the error for an old name; of a section, for the first field in it."""
    field = f"{path}.{next(iter(value))}" if isinstance(value, Mapping) and value else path
    return ConfigError(field, "there is no such field", f"it is now {new_path(field)}")


def _known_fields(location: Location) -> str:
    """Return the kinds that have a field which this kind has not, the one that a typo meant, or all there are."""
    section, siblings, _ = _find(location[:-1])
    kinds = [kind for other in siblings if location[-1] in other.model_fields and (kind := kind_of(other))]
    if kinds:
        return f"kind {' and '.join(kinds)} takes it, kind {kind_of(section)} does not"
    names = list(section.model_fields)
    close = get_close_matches(str(location[-1]), names, n=1)
    return f"did you mean {close[0]}?" if close else f"there are {', '.join(names)}"


def _find(location: Location) -> tuple[type[Section], list[type[Section]], FieldInfo | None]:
    """Return the section at a location, following the tags that pydantic adds for unions, those that could stand there, and its field."""
    section: type[Section] = Job
    siblings: list[type[Section]] = [Job]
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
