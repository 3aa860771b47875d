"""Versions of a model and the pointer to the best of them.

A version is claimed by write-if-absent, filled, and made by its manifest, which comes last; from then on it never changes. The
best pointer moves by compare-and-swap, and only to a better score of the same protocol.
"""

import hashlib
import json
import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ganray.config import UserError
from ganray.registry.artifact import BEST, MANIFEST, METRICS, make_manifest, read_best, read_file, read_manifest
from ganray.store import MissingObject, ObjectStore, child

CLAIM = "claim.json"
VERSION = re.compile(r"^\d{4,}$")


@dataclass(frozen=True)
class Version:
    """One published version, as a listing shows it."""

    model: str
    version: str
    uri: str
    score: float | None
    metric: str | None
    images_seen: int | None
    published: float
    is_best: bool


@dataclass(frozen=True)
class Registry:
    """The models under a storage."""

    storage: ObjectStore

    def model(self, name: str) -> ObjectStore:
        """Return the store of a model's versions."""
        return child(self.storage, f"models/{name}")

    def models(self) -> list[str]:
        """Return the names of all models that have a version."""
        keys = (info.key.split("/") for info in self.storage.list("models/"))
        return sorted({parts[1] for parts in keys if len(parts) == 4 and parts[3] == MANIFEST})

    def versions(self, name: str) -> list[Version]:
        """Return a model's finished versions, oldest first; raise `UserError` if there is none."""
        store = self.model(name)
        infos = {info.key.split("/")[0]: info for info in store.list() if info.key.endswith(f"/{MANIFEST}")}
        if not infos:
            known = ", ".join(self.models()) or "none yet"
            raise UserError("NAME", f"there is no model {name!r} in {self.storage.uri}", f"its models: {known}")
        best = read_best(store)
        return [_describe(name, child(store, number), number, info.modified, best) for number, info in sorted(infos.items())]

    def publish(self, name: str, files: Mapping[str, bytes], lineage: Mapping[str, Any], *, key: str) -> str:
        """Store an artifact as the model's next version, read it back, and return its number.

        `key` names what is published: publishing it again returns the version that has it.
        """
        store = self.model(name)
        number = _find(store, key) or _claim(store, key)
        version = child(store, number)
        if not _exists(version, MANIFEST):
            for file, data in files.items():
                version.write(file, data)
                _read_back(version, file, data)
            manifest = make_manifest(files, {**lineage, "model": name, "version": number})
            version.write_if_absent(MANIFEST, manifest)
        return number


def move_best(
    store: ObjectStore, number: str, score: float, protocol: Mapping[str, Any], *, rescore: Callable[[str], float | None]
) -> bool:
    """Point the model's best at a version if its score is better (lower), and return whether it now is the best.

    Where the incumbent was scored by another protocol, `rescore(its number)` scores it by this one, or returns None if that
    cannot be done; then the incumbent stays.
    """
    content = json.dumps({"version": number, "score": score, "protocol": protocol, "moved": time.time()}, indent=1).encode()
    while True:
        try:
            held, tag = store.read_tagged(BEST)
        except MissingObject:
            if store.write_if_absent(BEST, content):
                return True
            continue
        best = json.loads(held)
        if best["version"] == number:
            return True
        incumbent = best["score"] if best["protocol"] == protocol else rescore(best["version"])
        if incumbent is None or score >= incumbent:
            return False
        if store.write_if_unchanged(BEST, content, tag):
            return True


def _find(store: ObjectStore, key: str) -> str | None:
    """Return the version that was claimed for `key`, finished or not."""
    for number in _claimed(store):
        try:
            if json.loads(store.read(f"{number}/{CLAIM}"))["key"] == key:
                return number
        except (MissingObject, ValueError):
            continue
    return None


def _claim(store: ObjectStore, key: str) -> str:
    """Claim the next number that nobody has."""
    content = json.dumps({"key": key, "claim": uuid.uuid4().hex, "claimed": time.time()}).encode()
    number = max((int(taken) for taken in _claimed(store)), default=0) + 1
    while not store.write_if_absent(f"{number:04d}/{CLAIM}", content):
        number += 1
    return f"{number:04d}"


def _claimed(store: ObjectStore) -> Iterator[str]:
    numbers = {info.key.split("/")[0] for info in store.list()}
    return (number for number in sorted(numbers) if VERSION.match(number))


def _describe(name: str, store: ObjectStore, number: str, published: float, best: Mapping[str, Any] | None) -> Version:
    manifest = read_manifest(store)
    lineage, metrics = manifest["lineage"], json.loads(read_file(store, METRICS, manifest["files"][METRICS]))
    metric = metrics["protocol"]["metric"]
    is_best = best is not None and best["version"] == number
    return Version(name, number, store.uri, metrics["scores"].get(metric), metric, lineage.get("images_seen"), published, is_best)


def _exists(store: ObjectStore, key: str) -> bool:
    try:
        store.read(key)
    except MissingObject:
        return False
    return True


def _read_back(store: ObjectStore, file: str, data: bytes) -> None:
    if hashlib.sha256(store.read(file)).digest() != hashlib.sha256(data).digest():
        raise OSError(f"{store.uri}/{file} does not read back as it was written")
