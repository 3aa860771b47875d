"""Versions of a model: reserving their numbers, writing them, and listing them.

A version's number is reserved by write-if-absent, its files are written, and the manifest, written last, commits it; from then on
it never changes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import BaseModel, FiniteFloat

from ganray.errors import ArtifactError, ConfigError, StorageError
from ganray.metrics.score import Protocol
from ganray.registry.alias import read_best
from ganray.registry.manifest import (
    AGAIN,
    GENERATOR,
    MANIFEST,
    METRICS,
    VERSION,
    Manifest,
    find_manifest,
    make_manifest,
    parse_manifest,
    read_file,
    read_manifest,
)
from ganray.registry.reservation import reserve
from ganray.registry.signing import is_signed, load_private_key, sign_manifest, sign_published
from ganray.storage import ObjectStore, open_store


class Metrics(BaseModel):
    """An artifact's `metrics.json`: its scores by metric, and the protocol that they were measured by."""

    scores: dict[str, FiniteFloat]
    protocol: Protocol

    @property
    def score(self) -> float | None:
        """The score by the protocol's metric, by which versions are compared."""
        return self.scores.get(self.protocol.metric)


@dataclass(frozen=True)
class Version:
    """One published version in a listing. `published` is in Unix seconds."""

    model: str
    version: str
    uri: str
    score: float | None
    metric: str
    images_seen: int | None
    published: float
    is_best: bool


class Description(TypedDict):
    """A version in detail: its manifest's SHA-256, whether it is signed, scores and their protocol, sizes of files in bytes, lineage."""

    manifest: str
    signed: bool
    scores: dict[str, float]
    protocol: dict[str, Any]
    files: dict[str, int]
    lineage: dict[str, Any]


@dataclass(frozen=True)
class Registry:
    """The models under a storage."""

    storage: ObjectStore

    @classmethod
    def open(cls, uri: str | Path) -> "Registry":
        """Return the registry of a storage, a folder or `s3://bucket/prefix`. Raises `ConfigError` for a malformed URI."""
        return cls(open_store(uri))

    def model(self, name: str) -> ObjectStore:
        """Return the store of a model's versions, whether it has any or not."""
        return self.storage.child(f"models/{name}")

    def models(self) -> list[str]:
        """Return the names of all models that have a finished version, sorted."""
        parts = (info.key.split("/") for info in self.storage.list("models/"))
        return sorted({name for _, name, *rest in parts if len(rest) == 2 and rest[1] == MANIFEST})

    def reserved_models(self) -> list[str]:
        """Return the names of all models of which a version was ever reserved, finished or not, sorted."""
        parts = (info.key.split("/") for info in self.storage.list("models/"))
        return sorted({name for _, name, *rest in parts if len(rest) == 2 and VERSION.fullmatch(rest[0])})

    def existing(self, name: str) -> ObjectStore:
        """Return the store of a model's versions. Raises `ArtifactError` for a model that has none."""
        if name not in (known := self.models()):
            problem = f"there is no model {name!r} in {self.storage.uri}"
            raise ArtifactError("NAME", problem, f"its models: {', '.join(known) or 'none yet'}")
        return self.model(name)

    def versions(self, name: str) -> list[Version]:
        """Return a model's published versions, oldest first. Raises `ArtifactError` for a model that has none."""
        model = self.existing(name)
        infos = {info.key.split("/")[0]: info for info in model.list() if info.key.endswith(f"/{MANIFEST}")}
        best = read_best(model)
        described = (
            _version(name, model.child(number), number, info.modified, is_best=best is not None and best.version == number)
            for number, info in sorted(infos.items())
            if VERSION.fullmatch(number)
        )
        return [version for version in described if version]

    def version(self, name: str, number: str | None = None) -> tuple[ObjectStore, str]:
        """Return the store and number of a model's version, by default its best.

        Raises `ConfigError` for a malformed number, `ArtifactError` for a model or version that is missing or was deleted.
        """
        model = self.existing(name)
        if number is None:
            best = read_best(model)
            if best is None:
                raise ArtifactError("NAME", f"model {name!r} has no best version yet", "name a version, as `ganray models list` shows them")
            number = best.version
        store = model.child(check_version(number))
        read_manifest(store)
        return store, number

    def publish(
        self, name: str, files: Mapping[str, bytes], lineage: Mapping[str, Any], *, key: str, signing_key: Path | None = None
    ) -> str:
        """Store an artifact as the model's next version, read it back, and return its number.

        `key` identifies the publication: publishing it again returns the version that has it. `signing_key` is a PEM file with an
        Ed25519 key, which signs what was published unsigned, too, if it is the same. Raises `ConfigError` for an unusable key,
        `StorageError` for a storage that does not keep what is written.
        """
        model = self.model(name)
        model.check_conditional_writes()
        signer = load_private_key(signing_key, field="publish.signing_key") if signing_key else None
        while True:
            version = reserve(model, key)
            store, lineage = model.child(version.number), {**lineage, "model": name, "version": version.number}
            if version.manifest and signer:
                expected = make_manifest(files, lineage)
                sign_published(store, version.manifest, expected, signer)
            manifest = version.manifest or _write(store, files, lineage, signer)
            if not manifest.deleted:
                return version.number


def check_version(number: str) -> str:
    """Return a version's number. Raises `ConfigError` for a malformed one."""
    if not VERSION.fullmatch(number):
        raise ConfigError("VERSION", f"invalid version {number!r}", "write it like 0001")
    return number


def read_metrics(version: ObjectStore, manifest: Manifest) -> Metrics:
    """Return an artifact's scores and their protocol. Raises `ArtifactError` for a file that is missing or invalid."""
    if METRICS not in manifest.files:
        raise ArtifactError(f"{version.uri}/{METRICS}", "is missing", AGAIN)
    try:
        return Metrics.model_validate_json(read_file(version, METRICS, manifest.files[METRICS]))
    except ValueError:
        raise ArtifactError(f"{version.uri}/{METRICS}", "is broken", AGAIN) from None


def describe(version: ObjectStore) -> Description:
    """Return the details of a version. Raises `ArtifactError` for a damaged one."""
    manifest = read_manifest(version)
    metrics = read_metrics(version, manifest)
    return {
        "manifest": manifest.hash,
        "signed": is_signed(version, manifest),
        "scores": metrics.scores,
        "protocol": metrics.protocol.dump(),
        "files": {name: entry.size for name, entry in manifest.files.items()},
        "lineage": dict(manifest.lineage),
    }


def _write(version: ObjectStore, files: Mapping[str, bytes], lineage: Mapping[str, Any], signer: Ed25519PrivateKey | None) -> Manifest:
    """Write a reserved version's files and then its manifest, and return that, or the one that another publisher was first with.

    Where another publisher of the same key wrote a file first, that file stays: so no manifest ever names a file that changes.
    """
    stored = {name: _write_file(version, name, data) for name, data in files.items()}
    if stored[GENERATOR] != files[GENERATOR]:
        raise OSError(f"{version.uri}/{GENERATOR} is another generator than the one that is published")
    manifest = parse_manifest(make_manifest(stored, lineage), version.uri)
    if signer:
        sign_manifest(version, manifest, signer)
    if version.write_if_absent(MANIFEST, manifest.data):
        return manifest
    return find_manifest(version) or manifest


def _write_file(version: ObjectStore, name: str, data: bytes) -> bytes:
    """Write a file unless it exists, and return what is stored. Raises `StorageError` if that is not what was written."""
    written = version.write_if_absent(name, data)
    stored = version.read(name)
    if written and stored != data:
        remedy = "check the disk or the server, and publish again"
        raise StorageError(f"{version.uri}/{name}", "does not read back as it was written", remedy)
    return stored


def _version(name: str, version: ObjectStore, number: str, published: float, *, is_best: bool) -> Version | None:
    """Return a version as a listing shows it, None if it was deleted."""
    manifest = find_manifest(version)
    if manifest is None or manifest.deleted:
        return None
    metrics = read_metrics(version, manifest)
    images_seen = manifest.lineage.get("images_seen")
    return Version(name, number, version.uri, metrics.score, metrics.protocol.metric, images_seen, published, is_best)
