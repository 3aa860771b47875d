"""The files of a folder or an s3:// prefix that may be samples: regular ones, each folder once, none hidden, none of the job's storage."""

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Protocol

from ganray.data.card import SkippedSample
from ganray.data.sources.rows import STORAGE_FOLDERS, is_hidden, is_remote, open_folder, split_path, storage_prefixes
from ganray.storage import MissingObject, ObjectInfo, ObjectStore
from ganray.storage.base import FIELD as STORE_FIELD
from ganray.storage.files import local_errors

STORAGE = "the job's storage"
READ_ALREADY = "a folder that is read by another name"
NO_TARGET = "a link to nothing"
CIRCLE = "a link that leads to itself"
IRREGULAR = "not a regular file"

NUM_NAMED = 3  # files left out for the same reason that a message names
_Folder = tuple[str, tuple[int, int]]  # its key, and its identity in the file system


@dataclass(frozen=True)
class SourceFile:
    """A file that may be a sample. `key` is its name as text, `address` that by which its reader finds it.

    `stamp` changes with the content, as the time of the last modification does.
    """

    key: str
    size: int
    stamp: str
    address: bytes


class Reader(Protocol):
    """Reads the files of a folder or an archive by their addresses. Picklable. `lost` is why one cannot be read any more."""

    lost: ClassVar[str]

    def read(self, address: bytes) -> bytes | None:
        """Return a file's content, None if it cannot be read any more."""

    def head(self, address: bytes, num_bytes: int) -> bytes:
        """Return the first bytes of a file, fewer if it is shorter."""


@dataclass(frozen=True)
class FileTree:
    """The files of a source, sorted by key, and those that were left out, each with the reason."""

    name: str
    uri: str
    reader: Reader
    files: list[SourceFile]
    left_out: list[SkippedSample]


@dataclass(frozen=True)
class StoreReader:
    """Reads the objects of a store; an address is a key in UTF-8, or as the file system has it."""

    lost: ClassVar[str] = "has vanished since it was listed"
    store: ObjectStore

    def read(self, address: bytes) -> bytes | None:
        """Read the object, None if it has vanished since it was listed."""
        try:
            return self.store.read(_key(address))
        except MissingObject:
            return None

    def head(self, address: bytes, num_bytes: int) -> bytes:
        """Read the beginning of the object."""
        try:
            with self.store.open(_key(address)) as file:
                return file.read(num_bytes)
        except MissingObject:
            return b""


def summary(left_out: list[SkippedSample]) -> str:
    """Return what was left out as part of a line: by reason, the first files of each named."""
    names: dict[str, list[str]] = {}
    for sample in left_out:
        names.setdefault(sample.reason, []).append(sample.name)
    return "; ".join(f"{_enumerated(files)} ({reason})" for reason, files in names.items())


def _enumerated(names: list[str]) -> str:
    more = [f"and {len(names) - NUM_NAMED:,} more"] if len(names) > NUM_NAMED else []
    return ", ".join([*names[:NUM_NAMED], *more])


def folder_files(path: str, storage: ObjectStore | None) -> FileTree:
    """List the files below a folder or s3:// prefix. Raises `DataError` if a local one is missing."""
    store = open_folder(path)
    listed = _remote_files(store, storage) if is_remote(path) else _local_files(store.root, storage)
    files = sorted((_source_file(info) for info in listed.infos), key=lambda file: file.key)
    return FileTree(split_path(path)[1], store.uri, StoreReader(store), files, listed.left_out)


@dataclass(frozen=True)
class _Listed:
    infos: list[ObjectInfo] = field(default_factory=list)
    left_out: list[SkippedSample] = field(default_factory=list)

    def leave_out(self, key: str, reason: str) -> None:
        self.left_out.append(SkippedSample(name=_printable(key), reason=reason))


def _printable(key: str) -> str:
    """Return a name as text, in which what is not UTF-8 reads like `\\xff`."""
    return _address(key).decode("utf-8", "backslashreplace")


def _address(key: str) -> bytes:
    return key.encode("utf-8", "surrogateescape")


def _key(address: bytes) -> str:
    return address.decode("utf-8", "surrogateescape")


def _source_file(info: ObjectInfo) -> SourceFile:
    return SourceFile(_printable(info.key), info.size, str(info.modified), _address(info.key))


def _remote_files(store: ObjectStore, storage: ObjectStore | None) -> _Listed:
    """List a bucket's objects without hidden ones."""
    listed, prefixes, own = _Listed(), storage_prefixes(store, storage), set[str]()
    for info in store.list(""):
        if prefix := next((prefix for prefix in prefixes if info.key.startswith(prefix)), None):
            own.add(prefix)
        elif not is_hidden(info.key):
            listed.infos.append(info)
    for prefix in sorted(own):
        listed.leave_out(prefix, STORAGE)
    return listed


def _local_files(root: str, storage: ObjectStore | None) -> _Listed:
    """Walk a local folder without hidden files. Each folder is entered once, by its own name rather than by a link to it."""
    listed, entered = _Listed(), {_identity(folder.stat()): STORAGE for folder in _storage_folders(storage)}
    folders, links = [("", _identity(os.stat(root)))], list[_Folder]()
    entered.pop(folders[0][1], None)  # a source that is itself such a folder
    with local_errors("list", root, field=STORE_FIELD):
        while folders or links:
            folder, identity = folders.pop() if folders else links.pop(0)
            if identity in entered:
                listed.leave_out(folder, entered[identity])
                continue
            entered[identity] = READ_ALREADY
            for entry in _visible_entries(root, folder):
                _sort_in(entry, os.path.join(folder, entry.name), listed, folders, links)
    return listed


def _sort_in(entry: os.DirEntry[str], key: str, listed: _Listed, folders: list[_Folder], links: list[_Folder]) -> None:
    """Put an entry of a folder where it belongs, by what it is or links to."""
    try:
        status = entry.stat()
    except FileNotFoundError:
        if entry.is_symlink():  # else it was removed during the walk
            listed.leave_out(key, NO_TARGET)
        return
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        listed.leave_out(key, CIRCLE)
        return
    if stat.S_ISDIR(status.st_mode):
        (links if entry.is_symlink() else folders).append((key, _identity(status)))
    elif stat.S_ISREG(status.st_mode):
        listed.infos.append(ObjectInfo(key, status.st_size, status.st_mtime))
    else:
        listed.leave_out(key, IRREGULAR)


def _visible_entries(root: str, folder: str) -> Iterator[os.DirEntry[str]]:
    """Yield what lies in a folder, sorted by name; nothing if it was removed during the walk."""
    try:
        with os.scandir(Path(root, folder)) as entries:
            yield from sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name)
    except FileNotFoundError:
        return


def _storage_folders(storage: ObjectStore | None) -> list[Path]:
    """Return the folders that a local storage has."""
    if storage is None or is_remote(storage.uri):
        return []
    return [folder for name in STORAGE_FOLDERS if (folder := Path(storage.uri, name)).is_dir()]


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
