"""Claims of version numbers: each was made by write-if-absent, for the key of what is published, and is never made again.

Beside a claim lies an empty object that carries the key's hash in its name, so that one listing finds it.
"""

import hashlib
import json
import time
import uuid

from ganray.registry.alias import VERSION
from ganray.registry.manifest import find_manifest
from ganray.storage import MissingObject, ObjectStore, child

CLAIM = "claim.json"


def marker(key: str) -> str:
    """Return the name of the object that says for which key a version was claimed."""
    return f"claim-{hashlib.sha256(key.encode()).hexdigest()[:32]}"


def is_of_claim(name: str) -> bool:
    """Whether a file of a version belongs to its claim."""
    return name == CLAIM or name.startswith("claim-")


def claimed(store: ObjectStore) -> list[str]:
    """Return every number of a model that was ever claimed, lowest first."""
    return sorted(_files(store), key=int)


def find_claim(store: ObjectStore, key: str) -> str | None:
    """Return the version that was claimed for `key`, finished or not, unless it was deleted since."""
    for number, names in _files(store).items():
        marked = any(name.startswith("claim-") for name in names)
        if (marker(key) in names if marked else key_of(store, number) == key) and not _is_deleted(child(store, number)):
            return number
    return None


def make_claim(store: ObjectStore, key: str) -> str:
    """Claim the next number that nobody has."""
    content = json.dumps({"key": key, "claim": uuid.uuid4().hex, "claimed": time.time()}).encode()
    number = max((int(taken) for taken in claimed(store)), default=0) + 1
    while not store.write_if_absent(f"{number:04d}/{CLAIM}", content):
        number += 1
    store.write(f"{number:04d}/{marker(key)}", b"")
    return f"{number:04d}"


def newest_claimed(store: ObjectStore, *, starts_with: str, other_than: str) -> str | None:
    """Return the highest version that was claimed for another key of the same start, None if there is none."""
    keys = ((number, key_of(store, number) or "") for number in reversed(claimed(store)))
    return next((number for number, key in keys if key.startswith(starts_with) and key != other_than), None)


def key_of(store: ObjectStore, number: str) -> str | None:
    """Return what a version was claimed for, None if that cannot be read."""
    try:
        return str(json.loads(store.read(f"{number}/{CLAIM}"))["key"])
    except (MissingObject, ValueError, TypeError):
        return None


def _files(store: ObjectStore) -> dict[str, set[str]]:
    """Return the names of the files of each version, whatever state it is in."""
    found: dict[str, set[str]] = {}
    for info in store.list():
        number, _, name = info.key.partition("/")
        if VERSION.fullmatch(number):
            found.setdefault(number, set()).add(name)
    return found


def _is_deleted(version: ObjectStore) -> bool:
    manifest = find_manifest(version)
    return manifest is not None and manifest.deleted is not None
