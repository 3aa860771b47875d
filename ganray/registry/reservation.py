"""Reservations of version numbers: one each by write-if-absent, for the key of what is published, and never given out again.

Beside a reservation lies an empty object whose name carries the key's hash, so that one listing finds the reservation of a key.
The files are named `claim...`, as the registry has named them from the start.
"""

import hashlib
import json
import time
import uuid

from ganray.registry.manifest import VERSION, find_manifest
from ganray.storage import MissingObject, ObjectStore, child

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


def find_reservation(model: ObjectStore, key: str) -> str | None:
    """Return the version reserved for `key`, finished or not, None if there is none or it was deleted."""
    for number, names in _files(model).items():
        has_marker = any(name.startswith(MARKER_PREFIX) for name in names)
        if (marker(key) in names if has_marker else key_of(model, number) == key) and not _is_deleted(child(model, number)):
            return number
    return None


def reserve(model: ObjectStore, key: str) -> str:
    """Reserve the next free number for `key` and return it."""
    content = json.dumps({"key": key, "claim": uuid.uuid4().hex, "claimed": time.time()}).encode()
    number = max((int(taken) for taken in reserved_versions(model)), default=0) + 1
    while not model.write_if_absent(f"{number:04d}/{RESERVATION}", content):
        number += 1
    model.write(f"{number:04d}/{marker(key)}", b"")
    return f"{number:04d}"


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


def _is_deleted(version: ObjectStore) -> bool:
    manifest = find_manifest(version)
    return manifest is not None and manifest.deleted is not None
