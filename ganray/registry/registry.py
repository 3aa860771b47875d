"""Versions of a model: claiming their numbers, filling them, and listing them.

A version is claimed by write-if-absent, filled, and made by its manifest, which comes last; from then on it never changes.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, FiniteFloat

from ganray.errors import ArtifactError, ConfigError, StorageError
from ganray.registry.alias import VERSION, read_best
from ganray.registry.artifact import GENERATOR, METRICS
from ganray.registry.manifest import AGAIN, MANIFEST, Manifest, find_manifest, make_manifest, parse_manifest, read_file, read_manifest
from ganray.registry.reservation import find_claim, make_claim
from ganray.registry.signing import load_private_key, signature_name
from ganray.storage import ObjectStore, child


class Protocol(BaseModel):
    """What scores were measured by: at least the metric that decides."""

    model_config = ConfigDict(extra="allow", frozen=True)
    metric: str


class Metrics(BaseModel):
    """An artifact's `metrics.json`."""

    scores: dict[str, FiniteFloat]
    protocol: Protocol

    @property
    def score(self) -> float | None:
        """The score that decides which version is best."""
        return self.scores.get(self.protocol.metric)


@dataclass(frozen=True)
class Version:
    """One published version, as a listing shows it. `published` is in Unix seconds."""

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

    def claimed_models(self) -> list[str]:
        """Return the names of all models that a version was ever claimed of, finished or not."""
        parts = (info.key.split("/") for info in self.storage.list("models/"))
        return sorted({model[1] for model in parts if len(model) == 4 and VERSION.fullmatch(model[2])})

    def existing(self, name: str) -> ObjectStore:
        """Return the store of a model's versions; raise `GanrayError` if it has none."""
        if name not in (known := self.models()):
            raise ArtifactError(
                "NAME", f"there is no model {name!r} in {self.storage.uri}", f"its models: {', '.join(known) or 'none yet'}"
            )
        return self.model(name)

    def versions(self, name: str) -> list[Version]:
        """Return a model's finished versions but for deleted ones, oldest first; raise `GanrayError` if there is no such model."""
        store = self.existing(name)
        infos = {info.key.split("/")[0]: info for info in store.list() if info.key.endswith(f"/{MANIFEST}")}
        best = read_best(store)
        described = (
            _describe(name, child(store, number), number, info.modified, is_best=best is not None and best.version == number)
            for number, info in sorted(infos.items())
            if VERSION.fullmatch(number)
        )
        return [version for version in described if version]

    def version(self, name: str, number: str | None) -> tuple[ObjectStore, str]:
        """Return the store and number of a model's version, of its best without a number; raise `GanrayError` if it is not there."""
        model = self.existing(name)
        if number is None:
            best = read_best(model)
            if best is None:
                raise ArtifactError("NAME", f"model {name!r} has no best version yet", "name a version, as `ganray models list` shows them")
            number = best.version
        store = child(model, check_version(number))
        read_manifest(store)
        return store, number

    def publish(
        self, name: str, files: Mapping[str, bytes], lineage: Mapping[str, Any], *, key: str, signing_key: Path | None = None
    ) -> str:
        """Store an artifact as the model's next version, read it back, and return its number.

        `key` names what is published: publishing it again returns the version that has it. `signing_key` is a PEM file.
        """
        store = self.model(name)
        store.check_conditional_writes()
        sign = load_private_key(signing_key, field="publish.signing_key").sign if signing_key else None
        while True:
            number = find_claim(store, key) or make_claim(store, key)
            manifest = _fill(child(store, number), files, {**lineage, "model": name, "version": number}, sign)
            if not manifest.deleted:
                return number


def check_version(number: str) -> str:
    """Return a version's number; raise `GanrayError` for what is none."""
    if not VERSION.fullmatch(number):
        raise ConfigError("VERSION", f"{number!r} is no version", "write it like 0001")
    return number


def read_metrics(store: ObjectStore, manifest: Manifest) -> Metrics:
    """Return an artifact's scores and their protocol; raise `GanrayError` for a file that holds neither."""
    if METRICS not in manifest.files:
        raise ArtifactError(f"{store.uri}/{METRICS}", "is missing", AGAIN)
    try:
        return Metrics.model_validate_json(read_file(store, METRICS, manifest.files[METRICS]))
    except ValueError:
        raise ArtifactError(f"{store.uri}/{METRICS}", "is broken", AGAIN) from None


def describe(store: ObjectStore) -> dict[str, Any]:
    """Return what there is to say of a version: hash, signature, scores, protocol, files with their sizes, lineage."""
    manifest = read_manifest(store)
    metrics = read_metrics(store, manifest)
    return {
        "manifest": manifest.hash,
        "signed": any(info.key == signature_name(manifest.hash) for info in store.list("manifest-")),
        "scores": metrics.scores,
        "protocol": metrics.protocol.model_dump(),
        "files": {name: entry.size for name, entry in manifest.files.items()},
        "lineage": dict(manifest.lineage),
    }


def _fill(version: ObjectStore, files: Mapping[str, bytes], lineage: Mapping[str, Any], sign: Callable[[bytes], bytes] | None) -> Manifest:
    """Write a claimed version's files and then its manifest, unless that is there, and return the one that is.

    Where another publisher of the same key wrote a file first, that file stays: so no manifest ever names a file that changes.
    """
    there = find_manifest(version)
    if there:
        return there
    held = {name: _keep(version, name, data) for name, data in files.items()}
    if held[GENERATOR] != files[GENERATOR]:
        raise OSError(f"{version.uri}/{GENERATOR} is another generator than the one that is published")
    manifest = parse_manifest(make_manifest(held, lineage), version.uri)
    if sign:
        version.write_if_absent(signature_name(manifest.hash), sign(manifest.data))
    if version.write_if_absent(MANIFEST, manifest.data):
        return manifest
    return find_manifest(version) or manifest


def _keep(version: ObjectStore, name: str, data: bytes) -> bytes:
    """Write a file unless it is there, and return what is there."""
    written = version.write_if_absent(name, data)
    held = version.read(name)
    if written and hashlib.sha256(held).digest() != hashlib.sha256(data).digest():
        raise StorageError(
            f"{version.uri}/{name}", "does not read back as it was written", "check the disk or the server, and publish again"
        )
    return held


def _describe(name: str, store: ObjectStore, number: str, published: float, *, is_best: bool) -> Version | None:
    """Return what a listing shows of a version, None if it is deleted."""
    manifest = find_manifest(store)
    if manifest is None or manifest.deleted:
        return None
    metrics = read_metrics(store, manifest)
    images_seen = manifest.lineage.get("images_seen")
    return Version(name, number, store.uri, metrics.score, metrics.protocol.metric, images_seen, published, is_best)
