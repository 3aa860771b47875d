"""A safe subset of YAML for job files and overrides: one document of mappings, lists and scalars, in bounded time and memory.

Tags, repeated keys, cycles and aliases beyond a bound are refused. A scalar keeps its text: whether `007` is a number or a name is
decided by the type of its field. Numbers are decimal (`1_000`), hexadecimal or binary; dates, base 60 and octal are text.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import yaml

from ganray.config.fields import FieldError, is_text, sections_in, shortened

MAX_BYTES = 1_000_000
MAX_NODES = 20_000  # mappings, lists and scalars of a document, aliases expanded
MAX_DEPTH = 32
MAX_DIGITS = 400  # beyond, a number stays text; Python refuses to read thousands of digits
NULLS = ("", "~", "null", "Null", "NULL")
BOOLS = {"yes": True, "true": True, "on": True, "no": False, "false": False, "off": False}
INTEGER = re.compile(r"[-+]?(?:0x[0-9a-fA-F_]*[0-9a-fA-F]|0b[01_]*[01]|[0-9][0-9_]*)")
FLOAT = re.compile(r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+][0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")


@dataclass(frozen=True)
class Scalar:
    """A scalar's text, and whether it stood in quotes or in a block, where it is nothing but text."""

    text: str
    quoted: bool

    def value(self) -> object:
        """Return what the text is taken for where its field is not text: None, a boolean, a number, or text."""
        if self.quoted:
            return self.text
        if self.is_null:
            return None
        if self.text in (word := self.text.lower(), word.capitalize(), word.upper()) and word in BOOLS:
            return BOOLS[word]
        return _number(self.text)

    @property
    def is_null(self) -> bool:
        """Whether this is YAML's null."""
        return not self.quoted and self.text in NULLS


Node: TypeAlias = "Scalar | list[Node] | dict[str, Node]"


def parse(text: str) -> Node:
    """Return a YAML document, null for an empty one. Raises `FieldError` for what is no YAML, or beyond this subset."""
    if len(text.encode(errors="replace")) > MAX_BYTES:
        raise FieldError("is larger than 1 MB", "shorten it")
    try:
        return _Composer(text).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise FieldError(f"is not valid YAML ({where}{error.problem})", "correct it, or quote the value") from None
    except yaml.YAMLError as error:
        raise FieldError(f"is not valid YAML ({error})", "correct it, or quote the value") from None
    except FieldError:
        raise
    except (ValueError, OverflowError):  # PyYAML's own, about an escape that is no character
        raise FieldError("is not valid YAML (an escape is no character)", "correct it, or quote the value") from None


def plain(node: Node, annotation: Any) -> Any:
    """Return a node as plain data for a field of a type, or for a section: text as it was typed where the field is text."""
    match node:
        case Scalar():
            return node.text if is_text(annotation) and not node.is_null else node.value()
        case list():
            return [plain(item, None) for item in node]
        case dict():
            return {key: plain(value, type_below(annotation, key)) for key, value in node.items()}


def type_below(annotation: Any, key: str) -> Any:
    """Return the type of a field of the sections that a type allows, None where they have no such field."""
    fields = (section.model_fields.get(key) for section in sections_in(annotation))
    return next((field.annotation for field in fields if field), None)


class _Composer:
    """Builds nodes from the events of PyYAML's parser, and counts them."""

    def __init__(self, text: str) -> None:
        self.events: Iterator[yaml.Event] = yaml.parse(text, Loader=yaml.SafeLoader)
        self.anchors: dict[str, tuple[Node, int]] = {}  # a complete node, and the number of nodes in it
        self.num_nodes = 0

    def document(self) -> Node:
        """Return the only document, null if there is none."""
        next(self.events)  # the stream's start
        if isinstance(next(self.events), yaml.StreamEndEvent):
            return Scalar("", quoted=False)
        node = self._node(next(self.events), depth=0)
        next(self.events)  # the document's end
        if isinstance(event := next(self.events), yaml.DocumentStartEvent):
            raise _refusal("a second document begins", event, "write one document")
        return node

    def _node(self, event: yaml.Event, *, depth: int) -> Node:
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        assert isinstance(event, yaml.NodeEvent)
        if getattr(event, "tag", None):
            raise _refusal("tags are not allowed", event, "leave out what begins with !, or quote the value")
        if depth > MAX_DEPTH:
            raise _refusal(f"more than {MAX_DEPTH} levels", event, "nest less")
        before = self.num_nodes
        self._count(1, event)
        node = self._content(event, depth + 1)
        if event.anchor:
            self.anchors[event.anchor] = node, self.num_nodes - before
        return node

    def _content(self, event: yaml.Event, depth: int) -> Node:
        match event:
            case yaml.ScalarEvent():
                return Scalar(event.value, quoted=event.style is not None)
            case yaml.SequenceStartEvent():
                return [self._node(item, depth=depth) for item in self._until(yaml.SequenceEndEvent)]
            case _:
                return self._mapping(depth)

    def _mapping(self, depth: int) -> Node:
        """Return a mapping; what `<<` merges into it gives way to its own keys."""
        mapping: dict[str, Node] = {}
        merged: dict[str, Node] = {}
        for event in self._until(yaml.MappingEndEvent):
            key, value = self._node(event, depth=depth), self._node(next(self.events), depth=depth)
            if not isinstance(key, Scalar):
                raise _refusal("a key is not text", event, "write `key: value`")
            if key == Scalar("<<", quoted=False):
                merged = {**_mappings_in(value, event), **merged}
            elif key.text in mapping:
                raise _refusal(f"key {shortened(key.text)} is repeated", event, "write each key once")
            else:
                mapping[key.text] = value
        return {**merged, **mapping}

    def _alias(self, event: yaml.AliasEvent) -> Node:
        if event.anchor not in self.anchors:  # or it is not complete: a cycle
            raise _refusal(f"alias *{event.anchor} refers to nothing above it", event, "write out the value")
        node, size = self.anchors[event.anchor]
        self._count(size, event)
        return node

    def _count(self, number: int, event: yaml.Event) -> None:
        self.num_nodes += number
        if self.num_nodes > MAX_NODES:
            raise _refusal(f"more than {MAX_NODES:,} values, aliases expanded", event, "write fewer")

    def _until(self, end: type[yaml.Event]) -> Iterator[yaml.Event]:
        """Yield the events that begin a collection's items."""
        while not isinstance(event := next(self.events), end):
            yield event


def _mappings_in(value: Node, event: yaml.Event) -> dict[str, Node]:
    """Return what `<<` merges, a mapping or a list of them, of which the first comes first."""
    merged: dict[str, Node] = {}
    for mapping in value if isinstance(value, list) else [value]:
        if not isinstance(mapping, dict):
            raise _refusal("`<<` merges no section", event, "write `<<: *name` with the anchor of a section")
        merged = {**mapping, **merged}
    return merged


def _refusal(problem: str, event: yaml.Event, remedy: str) -> FieldError:
    where = f", line {event.start_mark.line + 1}" if event.start_mark else ""
    return FieldError(f"is refused{where}: {problem}", remedy)


def _number(text: str) -> object:
    """Return the number that a text is, or else the text."""
    if len(text) > MAX_DIGITS:
        return text
    digits = text.replace("_", "")
    if INTEGER.fullmatch(text):
        return int(digits, 0 if re.match("[-+]?0[xb]", text) else 10)
    if FLOAT.fullmatch(text):
        return float(digits.lower().replace(".inf", "inf").replace(".nan", "nan"))
    return text
