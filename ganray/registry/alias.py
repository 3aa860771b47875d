"""A model's best alias: which version it names, moved by compare-and-swap, and the append-only history of its moves.

The alias holds the event that put it there, so that one swap commits both. Before the next move, that event is filed under
`history/` by write-if-absent; so the history is complete and in order even if a process dies in between.
"""

import getpass
import json
import socket
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import TypeAdapter

from ganray.errors import ArtifactError
from ganray.metrics.score import Protocol
from ganray.registry.manifest import MAX_JSON_BYTES, VERSION, to_json
from ganray.storage import MissingObject, ObjectStore, RefusedObject

BEST = "best.json"
HISTORY = "history/"
EventKind = Literal["publish", "promote", "rollback", "delete"]


@dataclass(frozen=True)
class Event:
    """One move of an alias, or the decision to delete `versions`, which leaves it in place. `when` is ISO 8601 in UTC."""

    number: int
    kind: EventKind
    when: str
    who: str
    from_version: str | None
    to_version: str
    from_score: float | None
    to_score: float | None
    why: str
    versions: tuple[str, ...] = ()

    @property
    def referenced(self) -> set[str]:
        """The versions that the alias named before and after this event."""
        return {version for version in (self.from_version, self.to_version) if version}


@dataclass(frozen=True)
class Best:
    """The state of a model's alias. `deleting` are versions under deletion, to which it may not move."""

    version: str
    score: float
    protocol: Protocol
    event: Event | None = None
    deleting: tuple[str, ...] = ()

    def dump(self) -> dict[str, Any]:
        """Return the state as JSON types."""
        return {**asdict(self), "protocol": self.protocol.dump()}


@dataclass(frozen=True)
class TaggedBest:
    """The state of an alias as it was read, and the storage's tag of it for compare-and-swap."""

    best: Best
    tag: str


_BEST = TypeAdapter(Best)
_EVENT = TypeAdapter(Event)


def read_best(model: ObjectStore) -> Best | None:
    """Return the state of a model's alias, None if it names no version yet. Raises `ArtifactError` for a damaged one."""
    try:
        return _parse_best(model, model.read_at_most(BEST, MAX_JSON_BYTES))
    except MissingObject:
        return None
    except RefusedObject as error:
        raise ArtifactError(f"{model.uri}/{BEST}", str(error), "do not use it") from None


def read_tagged_best(model: ObjectStore) -> TaggedBest | None:
    """Return the state of a model's alias for a swap by `move_alias` or `replace_best`, None if it names no version yet."""
    try:
        data, tag = model.read_tagged(BEST)
    except MissingObject:
        return None
    return TaggedBest(_parse_best(model, data), tag)


def move_alias(
    model: ObjectStore, seen: TaggedBest | None, kind: EventKind, target: Best, why: str, *, deleting: tuple[str, ...] = ()
) -> bool:
    """File the last event, swap the alias from what was `seen` to `target` with a new event, and return whether the swap won."""
    before = seen.best if seen else None
    event = _next_event(before, kind, target, why, deleting)
    content = to_json(Best(target.version, target.score, target.protocol, event, (before.deleting if before else ()) + deleting).dump())
    if before and before.event:
        _file(model, before.event)
    moved = model.write_if_unchanged(BEST, content, seen.tag) if seen else model.write_if_absent(BEST, content)
    if moved:
        _file(model, event)
    return moved


def replace_best(model: ObjectStore, seen: TaggedBest, best: Best) -> bool:
    """Swap the alias's state without an event of its own, and return whether the swap won."""
    return model.write_if_unchanged(BEST, to_json(best.dump()), seen.tag)


def read_history(model: ObjectStore) -> list[Event]:
    """Return every event of a model's alias, oldest first. Raises `ArtifactError` for a damaged one."""
    events = [_parse_event(model, info.key) for info in model.list(HISTORY)]
    best = read_best(model)
    if best and best.event and best.event.number not in {event.number for event in events}:
        events.append(best.event)
    return sorted(events, key=lambda event: event.number)


def referenced_versions(model: ObjectStore) -> set[str]:
    """Return the versions that the alias names or, by its history, named."""
    best = read_best(model)
    return {version for event in read_history(model) for version in event.referenced} | ({best.version} if best else set())


def rollback_targets(events: Iterable[Event]) -> list[str]:
    """Return the versions that rollbacks go back to, nearest first: what is below the top of the stack of moves."""
    stack: list[str] = []
    for event in events:
        if event.kind == "rollback" and event.to_version in stack:
            while stack[-1] != event.to_version:
                stack.pop()
        elif event.kind != "delete":
            stack += [event.from_version] if event.from_version and not stack else []
            stack.append(event.to_version)
    return stack[-2::-1]


def actor() -> str:
    """Return this user on this machine, as `user@host`."""
    try:
        return f"{getpass.getuser()}@{socket.gethostname()}"
    except (KeyError, OSError):  # a container's user may have no name
        return f"unknown@{socket.gethostname()}"


def timestamp() -> str:
    """Return the time as ISO 8601 in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _next_event(before: Best | None, kind: EventKind, target: Best, why: str, versions: tuple[str, ...]) -> Event:
    number = before.event.number + 1 if before and before.event else 1
    from_version, from_score = (before.version, before.score) if before else (None, None)
    return Event(number, kind, timestamp(), actor(), from_version, target.version, from_score, target.score, why, versions)


def _file(model: ObjectStore, event: Event) -> None:
    model.write_if_absent(f"{HISTORY}{event.number:06d}.json", to_json(asdict(event)))


def _parse_best(model: ObjectStore, data: bytes) -> Best:
    try:
        best = _BEST.validate_python(json.loads(data))
        if VERSION.fullmatch(best.version):
            return best
    except (ValueError, RecursionError):
        pass
    raise ArtifactError(f"{model.uri}/{BEST}", "is broken", "restore it from a copy, or name a version's folder")


def _parse_event(model: ObjectStore, key: str) -> Event:
    try:
        return _EVENT.validate_python(json.loads(model.read_at_most(key, MAX_JSON_BYTES)))
    except (ValueError, RecursionError, RefusedObject):
        raise ArtifactError(f"{model.uri}/{key}", "is broken", "restore it from a copy") from None
