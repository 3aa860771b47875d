"""Published generators on this machine: `pull` fetches each once, keyed by its manifest's hash, for any number of processes."""

import contextlib
import fcntl
import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from ganray.errors import ArtifactError
from ganray.registry.manifest import AGAIN, MANIFEST, FileEntry, Manifest, read_manifest
from ganray.registry.signing import SIGNATURE_BYTES, check_signature, load_public_key, signature_name
from ganray.storage import MissingObject, ObjectStore, RefusedObject, open_store
from ganray.storage.base import Progress
from ganray.storage.local import atomic_write, local_errors


def cache_folder() -> Path:
    """Return where pulled artifacts lie: GANRAY_CACHE, or `ganray` in the user's cache folder."""
    if given := os.environ.get("GANRAY_CACHE"):
        return Path(given).expanduser().absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "ganray"


def pull(store: ObjectStore, *, public_key: Path | None = None, progress: Progress | None = None) -> Path:
    """Fetch the version in `store` into the cache, checked file by file, and return its folder there; nothing if it is there."""
    manifest = read_manifest(store)
    key = load_public_key(public_key, field="--public-key") if public_key else None
    if key:
        check_signature(store, manifest, key)
    cache = cache_folder()
    folder = cache / "artifacts" / manifest.hash
    with local_errors("write", cache, field="GANRAY_CACHE"):
        with _alone(cache / "locks" / manifest.hash):
            if not folder.exists():
                _fetch(store, manifest, folder, progress)
        with atomic_write(_reference(store.uri)) as file:
            file.write(manifest.hash.encode())
    return folder


def pulled(uri: str, *, public_key: Path | None = None) -> Path:
    """Return the folder of what was last pulled from `uri`, without asking its server. Raises `GanrayError` if nothing was."""
    with contextlib.suppress(FileNotFoundError):
        folder = cache_folder() / "artifacts" / _reference(uri).read_text()
        if folder.is_dir():
            if public_key:
                store = open_store(folder)
                check_signature(store, read_manifest(store), load_public_key(public_key, field="--public-key"))
            return folder
    raise ArtifactError(uri, "was not pulled before", "pull it once without --offline")


def remember(uri: str, folder: Path) -> None:
    """Let `pulled(uri)` find a folder of the cache: a model's URI stands for its best as it was pulled last."""
    with local_errors("write", cache_folder(), field="GANRAY_CACHE"), atomic_write(_reference(uri)) as file:
        file.write(folder.name.encode())


def _fetch(store: ObjectStore, manifest: Manifest, folder: Path, progress: Progress | None) -> None:
    """Download an artifact into a folder aside, which takes its place when all of it is there and right."""
    aside = folder.with_name(f".{folder.name}-{uuid.uuid4().hex}")
    total, done = sum(entry.size for entry in manifest.files.values()), 0
    try:
        aside.mkdir(parents=True)
        for name, entry in manifest.files.items():
            _download(store, name, entry, aside / name, _shifted(progress, done, total))
            done += entry.size
        _copy_signature(store, manifest, aside)
        (aside / MANIFEST).write_bytes(manifest.data)
        aside.replace(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _shifted(progress: Progress | None, before: int, total: int) -> Progress | None:
    """Return what tells of one file's bytes as a part of all."""
    return (lambda done, _: progress(before + done, total)) if progress else None


def _download(store: ObjectStore, name: str, entry: FileEntry, path: Path, progress: Progress | None) -> None:
    """Download a file of an artifact, and raise `GanrayError` unless it is the one that was published."""
    where = f"{store.uri}/{name}"
    try:
        found = store.download(name, path, most=entry.size, progress=progress)
    except MissingObject:
        raise ArtifactError(where, "is missing", AGAIN) from None
    except RefusedObject as error:
        raise ArtifactError(where, f"is not what was published: it {error}", "do not use it") from None
    if found != entry.sha256:
        raise ArtifactError(where, "does not have the published SHA-256", f"do not use it; {AGAIN}")


def _copy_signature(store: ObjectStore, manifest: Manifest, folder: Path) -> None:
    name = signature_name(manifest.hash)
    with contextlib.suppress(MissingObject, RefusedObject):
        (folder / name).write_bytes(store.read_at_most(name, SIGNATURE_BYTES))


def _reference(uri: str) -> Path:
    return cache_folder() / "references" / hashlib.sha256(uri.encode()).hexdigest()


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Let one process or thread at a time into the block."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
