"""A model's best pointer, and the append-only history of its moves.

The pointer holds the event that put it there, so one compare-and-swap commits both. Whoever moves it next, first files that event
under `history/`, by write-if-absent; so the history is complete and in order whoever dies in between.
"""

import getpass
import json
import re
import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import TypeAdapter

from ganray.errors import ArtifactError, ConfigError
from ganray.registry.manifest import MAX_JSON_BYTES, find_manifest, to_json
from ganray.storage import MissingObject, ObjectStore, RefusedObject, child

BEST = "best.json"
HISTORY = "history/"
VERSION = re.compile(r"\d{4,12}")


@dataclass(frozen=True)
class Event:
    """One move of a pointer, or the decision to delete `versions`, which leaves it where it is. `when` is ISO 8601, UTC."""

    number: int
    kind: Literal["publish", "promote", "rollback", "delete"]
    when: str
    who: str
    from_version: str | None
    to_version: str
    from_score: float | None
    to_score: float | None
    why: str
    versions: tuple[str, ...] = ()

    @property
    def named(self) -> set[str]:
        """The versions that this event pins: those that it left and went to."""
        return {version for version in (self.from_version, self.to_version) if version}


@dataclass(frozen=True)
class Best:
    """Where a model's pointer stands. `deleting` are versions that are being deleted, so that nothing may move to them."""

    version: str
    score: float
    protocol: dict[str, Any]
    event: Event | None = None
    deleting: tuple[str, ...] = ()


_BEST = TypeAdapter(Best)
_EVENT = TypeAdapter(Event)


def read_best(store: ObjectStore) -> Best | None:
    """Return where a model's pointer stands, or None if it has none."""
    try:
        return _parse_best(store, store.read_at_most(BEST, MAX_JSON_BYTES))
    except MissingObject:
        return None
    except RefusedObject as error:
        raise ArtifactError(f"{store.uri}/{BEST}", str(error), "do not use it") from None


def move_best(
    store: ObjectStore, number: str, score: float, protocol: Mapping[str, Any], *, rescore: Callable[[str], float | None]
) -> bool:
    """Point the model's best at a version if its score is better (lower), and return whether it now is the best.

    Where the incumbent was scored by another protocol, `rescore(its number)` scores it by this one, or returns None if that
    cannot be done; then the incumbent stays. A version that was the best before and is no more does not come back by itself:
    a publication that is replayed undoes no rollback.
    """
    store.check_conditional_writes()
    while True:
        held = _read_tagged(store)
        if held:
            best = held[0]
            if best.version == number:
                return True
            incumbent = best.score if best.protocol == protocol else rescore(best.version)
            if incumbent is None or score >= incumbent or number in pinned(store) or _is_deleted(store, best, number):
                return False
        if _move(store, held, "publish", Best(number, score, dict(protocol)), "a better score" if held else "the first version"):
            return True


def promote(store: ObjectStore, number: str, score: float, protocol: Mapping[str, Any], *, why: str) -> Best:
    """Point the model's best at a version whatever its score, and return where the pointer stands now."""
    return move_by_hand(store, "promote", lambda best: Best(number, score, dict(protocol)), why=why)


def move_by_hand(store: ObjectStore, kind: Literal["promote", "rollback"], choose: Callable[[Best | None], Best], *, why: str) -> Best:
    """Move the pointer to what `choose` makes of where it stands, again until no one else moves it in between."""
    store.check_conditional_writes()
    while True:
        held = _read_tagged(store)
        target = choose(held[0] if held else None)
        if held and held[0].version == target.version:
            raise ConfigError("VERSION", f"{target.version} is the best already", "name another version")
        if _is_deleted(store, held[0] if held else None, target.version):
            raise ArtifactError("VERSION", f"{target.version} is not there, or was deleted", "name one that `ganray models list` shows")
        if _move(store, held, kind, target, why):
            return target


def announce_deletion(store: ObjectStore, numbers: Iterable[str], *, why: str, check: Callable[[Best], None]) -> None:
    """Forbid every move to some versions, once `check` has found that where the pointer stands allows it."""
    store.check_conditional_writes()
    numbers = tuple(numbers)
    while True:
        held = _read_tagged(store)
        if held is None:
            raise ArtifactError("NAME", f"{store.uri} has no best version yet", "promote one: ganray models promote NAME VERSION")
        check(held[0])
        if _move(store, held, "delete", held[0], why, deleting=numbers):
            return


def deletion_done(store: ObjectStore, numbers: Iterable[str]) -> None:
    """Take versions that are deleted off the pointer's list."""
    done, swapped = set(numbers), False
    while not swapped:
        held = _read_tagged(store)
        if held is None or not done & set(held[0].deleting):
            return
        left = tuple(number for number in held[0].deleting if number not in done)
        swapped = store.write_if_unchanged(BEST, _dump(Best(**{**vars(held[0]), "deleting": left})), held[1])


def read_history(store: ObjectStore) -> list[Event]:
    """Return every move of a model's pointer, oldest first."""
    events = [_parse_event(store, info.key) for info in store.list(HISTORY)]
    best = read_best(store)
    if best and best.event and best.event.number not in {event.number for event in events}:
        events.append(best.event)
    return sorted(events, key=lambda event: event.number)


def pinned(store: ObjectStore) -> set[str]:
    """Return the versions that the pointer or its history name."""
    best = read_best(store)
    return {version for event in read_history(store) for version in event.named} | ({best.version} if best else set())


def before_last(events: Iterable[Event]) -> list[str]:
    """Return the versions that rollbacks go back to, nearest first."""
    stack: list[str] = []
    for event in events:
        if event.kind == "rollback" and event.to_version in stack:
            while stack[-1] != event.to_version:
                stack.pop()
        elif event.kind != "delete":
            stack += [event.from_version] if event.from_version and not stack else []
            stack.append(event.to_version)
    return stack[-2::-1]


def who() -> str:
    """Return who acts: this user on this machine."""
    try:
        return f"{getpass.getuser()}@{socket.gethostname()}"
    except (KeyError, OSError):  # a container's user may have no name
        return f"unknown@{socket.gethostname()}"


def now() -> str:
    """Return the time as ISO 8601 in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _move(store: ObjectStore, held: tuple[Best, str] | None, kind: str, target: Best, why: str, *, deleting: tuple[str, ...] = ()) -> bool:
    """File the last event, then swap the pointer to `target` with an event of its own, and return whether nobody was first."""
    before, tag = held or (None, "")
    number = before.event.number + 1 if before and before.event else 1
    leaves = (before.version, before.score) if before else (None, None)
    event = Event(number, kind, now(), who(), leaves[0], target.version, leaves[1], target.score, why, deleting)
    content = _dump(Best(target.version, target.score, target.protocol, event, (before.deleting if before else ()) + deleting))
    if before and before.event:
        _file(store, before.event)
    moved = store.write_if_unchanged(BEST, content, tag) if before else store.write_if_absent(BEST, content)
    if moved:
        _file(store, event)
    return moved


def _file(store: ObjectStore, event: Event) -> None:
    store.write_if_absent(f"{HISTORY}{event.number:06d}.json", to_json(asdict(event)))


def _is_deleted(store: ObjectStore, best: Best | None, number: str) -> bool:
    """Whether a version may not be moved to. Asked after the pointer was read: a deletion that comes later fails the swap."""
    manifest = find_manifest(child(store, number))
    return manifest is None or manifest.deleted is not None or (best is not None and number in best.deleting)


def _dump(best: Best) -> bytes:
    return to_json(asdict(best))


def _read_tagged(store: ObjectStore) -> tuple[Best, str] | None:
    try:
        data, tag = store.read_tagged(BEST)
    except MissingObject:
        return None
    return _parse_best(store, data), tag


def _parse_best(store: ObjectStore, data: bytes) -> Best:
    try:
        best = _BEST.validate_python(json.loads(data))
        if VERSION.fullmatch(best.version):
            return best
    except (ValueError, RecursionError):
        pass
    raise ArtifactError(f"{store.uri}/{BEST}", "is broken", "restore it from a copy, or name a version's folder")


def _parse_event(store: ObjectStore, key: str) -> Event:
    try:
        return _EVENT.validate_python(json.loads(store.read_at_most(key, MAX_JSON_BYTES)))
    except (ValueError, RecursionError, RefusedObject):
        raise ArtifactError(f"{store.uri}/{key}", "is broken", "restore it from a copy") from None
