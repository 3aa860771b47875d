"""Reservations of version numbers: one each by write-if-absent, for the key of what is published, and never given out again.

Beside a reservation lies an empty object whose name carries the key's hash, so that one listing finds the reservation of a key.
The files are named `claim...`, as the registry has named them from the start.
"""

import hashlib
import json
import time
import uuid
from dataclasses import dataclass

from ganray.registry.manifest import VERSION, Manifest, find_manifest
from ganray.storage import MissingObject, ObjectStore

RESERVATION = "claim.json"
MARKER_PREFIX = "claim-"


def marker(key: str) -> str:
    """Return the name of the empty object that marks a version as reserved for a key."""
    return f"{MARKER_PREFIX}{hashlib.sha256(key.encode()).hexdigest()[:32]}"


def is_reservation_file(name: str) -> bool:
    """Whether a file of a version belongs to its reservation rather than to the artifact."""
    return name == RESERVATION or name.startswith(MARKER_PREFIX)


def reserved_versions(model: ObjectStore) -> list[str]:
    """Return every number of a model that was ever reserved, lowest first."""
    return sorted(_files(model), key=int)


@dataclass(frozen=True)
class Reservation:
    """A version's number, and its manifest if it is published already."""

    number: str
    manifest: Manifest | None


def reserve(model: ObjectStore, key: str) -> Reservation:
    """Return the reservation for `key`, published or not; if there is none, or it was deleted, reserve the next free number."""
    files = _files(model)
    for number, names in files.items():
        has_marker = any(name.startswith(MARKER_PREFIX) for name in names)
        if marker(key) in names if has_marker else key_of(model, number) == key:
            manifest = find_manifest(model.child(number))
            if manifest is None or manifest.deleted is None:
                return Reservation(number, manifest)
    content = json.dumps({"key": key, "claim": uuid.uuid4().hex, "claimed": time.time()}).encode()
    free = max(map(int, files), default=0) + 1
    while not model.write_if_absent(f"{free:04d}/{RESERVATION}", content):
        free += 1
    model.write(f"{free:04d}/{marker(key)}", b"")
    return Reservation(f"{free:04d}", None)


def latest_reserved(model: ObjectStore, *, starts_with: str, other_than: str) -> str | None:
    """Return the highest version reserved for another key of the same start, None if there is none."""
    keys = ((number, key_of(model, number) or "") for number in reversed(reserved_versions(model)))
    return next((number for number, key in keys if key.startswith(starts_with) and key != other_than), None)


def key_of(model: ObjectStore, number: str) -> str | None:
    """Return the key that a version was reserved for, None if that cannot be read."""
    try:
        return str(json.loads(model.read(f"{number}/{RESERVATION}"))["key"])
    except (MissingObject, ValueError, TypeError):
        return None


def _files(model: ObjectStore) -> dict[str, set[str]]:
    """Return the names of the files of each version, in any state."""
    found: dict[str, set[str]] = {}
    for info in model.list():
        number, _, name = info.key.partition("/")
        if VERSION.fullmatch(number):
            found.setdefault(number, set()).add(name)
    return found
