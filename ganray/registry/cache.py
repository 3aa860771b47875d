"""The local cache of artifacts: `pull` downloads each once, keyed by its manifest's SHA-256, for any number of processes."""

import contextlib
import hashlib
import os
import shutil
from pathlib import Path

from ganray.errors import ArtifactError
from ganray.registry.manifest import AGAIN, MANIFEST, FileEntry, Manifest, name_of, read_manifest
from ganray.registry.signing import SIGNATURE_BYTES, check_signature, load_public_key, signature_name
from ganray.storage import MissingObject, ObjectStore, RefusedObject, open_store
from ganray.storage.base import Progress
from ganray.storage.files import atomic_folder, atomic_write, file_lock, local_errors, open_untrusted


def cache_folder() -> Path:
    """Return the folder of the cache: GANRAY_CACHE, or `ganray` in the user's cache folder."""
    if given := os.environ.get("GANRAY_CACHE"):
        return Path(given).expanduser().absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "ganray"


def pull(store: ObjectStore, *, public_key: Path | None = None, progress: Progress | None = None) -> Path:
    """Download the version in `store` into the cache, unless it is there undamaged, verified file by file, and return its folder.

    Raises `ArtifactError` for a version that is missing, damaged, or not signed by the private half of `public_key`, a PEM file.
    """
    manifest = read_manifest(store)
    key = load_public_key(public_key, field="--public-key") if public_key else None
    if key:
        check_signature(store, manifest, key)
    cache = cache_folder()
    folder = cache / "artifacts" / manifest.hash
    with local_errors("write", cache, field="GANRAY_CACHE"):
        (cache / "locks").mkdir(parents=True, exist_ok=True)
        with file_lock(cache / "locks" / manifest.hash):
            if not _is_whole(folder, manifest):
                shutil.rmtree(folder, ignore_errors=True)
                _fetch(store, manifest, folder, progress)
        _refer(store.uri, folder)
    return folder


def find_pulled(uri: str, *, model: str | None = None, version: str | None = None, public_key: Path | None = None) -> Path:
    """Return the folder of the version last pulled from `uri`, verified file by file, without a request to its server.

    Raises `ArtifactError` if none was pulled, for one that has changed since, and with `public_key`, a PEM file, for one that was not
    signed by the private half, or as another `model` or `version` than is asked for.
    """
    folder = _referred(uri)
    if folder is None:
        raise ArtifactError(uri, "was not pulled before", "pull it once without --offline")
    store = open_store(folder)
    manifest = read_manifest(store)
    if not _is_whole(folder, manifest):
        raise ArtifactError(str(folder), "is not what was pulled", "pull it again without --offline")
    if public_key:
        check_signature(store, manifest, load_public_key(public_key, field="--public-key"))
        _check_names(uri, manifest, model, version)
    return folder


def remember(uri: str, folder: Path) -> None:
    """Let `find_pulled(uri)` return a folder of the cache: a model's URI refers to the best version as it was pulled last."""
    with local_errors("write", cache_folder(), field="GANRAY_CACHE"):
        _refer(uri, folder)


def _is_whole(folder: Path, manifest: Manifest) -> bool:
    """Whether a folder of the cache holds every file of an artifact as it was published."""
    files = {MANIFEST: FileEntry(size=len(manifest.data), sha256=manifest.hash), **manifest.files}
    try:
        return folder.name == manifest.hash and all(_is_published(folder / name, entry) for name, entry in files.items())
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError, RefusedObject):
        return False


def _is_published(path: Path, entry: FileEntry) -> bool:
    with open_untrusted(path) as file:
        return os.fstat(file.fileno()).st_size == entry.size and hashlib.file_digest(file, "sha256").hexdigest() == entry.sha256


def _check_names(uri: str, manifest: Manifest, model: str | None, version: str | None) -> None:
    """Raise `ArtifactError` for a manifest of another model or version than was asked for."""
    found = manifest.lineage.get("model"), manifest.lineage.get("version")
    if found != (model or found[0], version or found[1]):
        raise ArtifactError(uri, f"was pulled as {name_of(*found)}", "do not use it; pull it again without --offline")


def _fetch(store: ObjectStore, manifest: Manifest, folder: Path, progress: Progress | None) -> None:
    """Download an artifact, whose folder appears once all of it is verified."""
    total, done = sum(entry.size for entry in manifest.files.values()), 0
    with atomic_folder(folder) as temporary:
        for name, entry in manifest.files.items():
            _download(store, name, entry, temporary / name, _offset(progress, done, total))
            done += entry.size
        _copy_signature(store, manifest, temporary)
        (temporary / MANIFEST).write_bytes(manifest.data)


def _offset(progress: Progress | None, before: int, total: int) -> Progress | None:
    """Return a callback for one file's bytes that reports them as a part of all files' bytes."""
    return (lambda done, _: progress(before + done, total)) if progress else None


def _download(store: ObjectStore, name: str, entry: FileEntry, path: Path, progress: Progress | None) -> None:
    """Download a file of an artifact. Raises `ArtifactError` unless its SHA-256 is the published one."""
    where = f"{store.uri}/{name}"
    try:
        found = store.download(name, path, max_bytes=entry.size, progress=progress)
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


def _refer(uri: str, folder: Path) -> None:
    with atomic_write(_reference(uri)) as file:
        file.write(folder.name.encode())


def _referred(uri: str) -> Path | None:
    """Return the folder last pulled from a URI, None if there is none."""
    with contextlib.suppress(FileNotFoundError):
        folder = cache_folder() / "artifacts" / _reference(uri).read_text()
        return folder if folder.is_dir() else None
    return None


def _reference(uri: str) -> Path:
    """Return the file that holds the name of the folder last pulled from a URI."""
    return cache_folder() / "references" / hashlib.sha256(uri.encode()).hexdigest()
