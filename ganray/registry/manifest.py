"""An artifact's manifest: size and SHA-256 of every file, and the lineage. It is untrusted input, validated before it is used."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ganray.errors import ArtifactError
from ganray.storage import MissingObject, ObjectStore, RefusedObject

FORMAT = 1
VERSION = re.compile(r"[0-9]{4,12}")  # the number of a version, as its folder is named
HASH = re.compile(r"[0-9a-f]{64}")
MANIFEST = "manifest.json"
GENERATOR, CONFIG, METRICS, SAMPLES, CARD = "generator.safetensors", "config.json", "metrics.json", "samples.png", "README.md"
DIRECTIONS = "directions.json"  # of latents, in versions that were published with `publish.directions`
MAX_FILES = 64
MAX_MODEL_NAME = 100  # characters
MAX_FILE_BYTES = 64 << 30
MAX_JSON_BYTES = 4 << 20  # of a manifest, or of any other JSON file
AGAIN = "publish again, or restore it from a copy"

FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]  # no folder, no '..', no hidden file


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)


class FileEntry(_Part):
    """A file of an artifact: its size in bytes and the SHA-256 of its content."""

    size: int = Field(ge=0, le=MAX_FILE_BYTES)
    sha256: str = Field(pattern=rf"^{HASH.pattern}$")


class Deletion(_Part):
    """Who deleted a version, when (ISO 8601, UTC), and why."""

    who: str
    when: str
    why: str


class Lineage(_Part):
    """The origin of a generator. Fields that later versions of ganray add are kept."""

    model_config = ConfigDict(extra="allow", frozen=True)
    model: str | None = Field(None, max_length=MAX_MODEL_NAME)
    version: str | None = Field(None, pattern=rf"^{VERSION.pattern}$")
    images_seen: int | None = None


class _Content(_Part):
    format: int
    files: dict[FileName, FileEntry] = Field({}, max_length=MAX_FILES)
    lineage: Lineage = Lineage()
    deleted: Deletion | None = None


@dataclass(frozen=True)
class Manifest:
    """A manifest: `data` are its bytes as stored, which are hashed and signed."""

    data: bytes
    files: Mapping[str, FileEntry]
    lineage: Mapping[str, Any]
    deleted: Deletion | None = None

    @property
    def hash(self) -> str:
        """SHA-256 of the manifest in hex, which identifies the whole artifact."""
        return hashlib.sha256(self.data).hexdigest()


def make_manifest(files: Mapping[str, bytes], lineage: Mapping[str, Any]) -> bytes:
    """Return the manifest of an artifact: size and SHA-256 of every other file, and its lineage."""
    entries = {name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in sorted(files.items())}
    return to_json({"format": FORMAT, "files": entries, "lineage": lineage})


def make_tombstone(*, who: str, when: str, why: str) -> bytes:
    """Return the tombstone that replaces the manifest of a deleted version, whose number is never used again."""
    return to_json({"format": FORMAT, "deleted": {"who": who, "when": when, "why": why}})


def to_json(data: Any) -> bytes:
    """Return plain data as indented JSON. Raises `ValueError` for NaN and infinities, which JSON does not have."""
    return (json.dumps(data, indent=1, allow_nan=False) + "\n").encode()


def parse_manifest(data: bytes, where: str) -> Manifest:
    """Return a validated manifest. Raises `ArtifactError`, naming `where` it was read, for an invalid one or one of a later format."""
    try:
        content = _Content.model_validate(json.loads(data))
    except ValidationError as error:
        first = error.errors()[0]
        problem = f"cannot be trusted ({'.'.join(str(part) for part in first['loc'])[:100]!r}: {first['msg'][:100]})"
        raise ArtifactError(where, problem, "do not use it; publish again, or restore it from a copy") from None
    except (ValueError, RecursionError):
        raise ArtifactError(where, "is broken", AGAIN) from None
    if content.format > FORMAT:
        raise ArtifactError(where, f"is of format {content.format}", "update ganray to read it")
    return Manifest(data, content.files, content.lineage.model_dump(exclude_unset=True), content.deleted)


def find_manifest(store: ObjectStore) -> Manifest | None:
    """Return the manifest or tombstone of the version in `store`, None if there is neither. Raises `ArtifactError` for an invalid one."""
    where = f"{store.uri}/{MANIFEST}"
    try:
        return parse_manifest(store.read_at_most(MANIFEST, MAX_JSON_BYTES), where)
    except MissingObject:
        return None
    except RefusedObject as error:
        raise ArtifactError(where, str(error), "do not use it") from None


def read_manifest(store: ObjectStore) -> Manifest:
    """Return an artifact's manifest. Raises `ArtifactError` if there is no artifact, or it was deleted."""
    manifest = find_manifest(store)
    if manifest is None:
        remedy = "name a version's folder or a model's, as `ganray models list` shows"
        raise ArtifactError(store.uri, "holds no published generator", remedy)
    if manifest.deleted:
        problem = f"was deleted by {manifest.deleted.who}: {manifest.deleted.why}"
        raise ArtifactError(store.uri, problem, "name another version, as `ganray models list` shows")
    return manifest


def misplacement(store: ObjectStore, manifest: Manifest) -> str | None:
    """Return how a manifest is not that of the folder which it lies in, None where it is, or where the folder names no version.

    A folder names a version as a registry does, <model>/<number>, or as the cache does, by the manifest's hash.
    """
    *_, model, folder = ["", *store.root.split("/")]
    if HASH.fullmatch(folder):
        return None if folder == manifest.hash else "has another manifest than its folder names"
    named, found = (model, folder), (manifest.lineage.get("model"), manifest.lineage.get("version"))
    if not VERSION.fullmatch(folder) or named == found:
        return None
    return f"has the manifest of {name_of(*found)}, and its folder is that of {name_of(*named)}"


def name_of(model: str | None, version: str | None) -> str:
    """Return model and version as a message names them."""
    return f"version {version} of model {model!r}" if model and version else "no version of a model"


def read_file(store: ObjectStore, name: str, entry: FileEntry) -> bytes:
    """Return the content of an artifact's file. Raises `ArtifactError` unless its size and SHA-256 are those of its entry."""
    where = f"{store.uri}/{name}"
    try:
        data = store.read_at_most(name, entry.size)
    except MissingObject:
        raise ArtifactError(where, "is missing", AGAIN) from None
    except RefusedObject as error:
        raise ArtifactError(where, f"is not what was published: it {error}", f"do not use it; {AGAIN}") from None
    if len(data) != entry.size:
        raise ArtifactError(where, f"has {len(data)} bytes, and {entry.size} were published", AGAIN)
    if hashlib.sha256(data).hexdigest() != entry.sha256:
        raise ArtifactError(where, "does not have the published SHA-256", f"do not use it; {AGAIN}")
    return data
