"""A store in a local folder. The folder is made by the first write."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from ganray.errors import StorageError
from ganray.storage.base import (
    CHECKS,
    FIELD,
    MissingObject,
    ObjectInfo,
    Progress,
    RefusedObject,
    check_by_writing,
    check_key,
    check_prefix,
)
from ganray.storage.files import copy_hashed, open_plain, walk

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

ASIDE = ".tmp-"  # starts the names of files that are being written
LOCK = ".lock"  # held while an object of the same folder is swapped

REMEDIES = {
    errno.EACCES: "give this user the right to, or name another place",
    errno.EPERM: "give this user the right to, or name another place",
    errno.EROFS: "mount it for writing, or name another place",
    errno.ENOSPC: "free some space, or name another place",
    errno.EDQUOT: "free some space, or name another place",
    errno.ENOTDIR: "name a folder; a file stands where one should be",
    errno.EEXIST: "name a folder; a file stands where one should be",
}


@dataclass(frozen=True)
class LocalStore:
    """Objects are files below the folder `root`, an absolute path. Works for several processes on one machine."""

    root: str

    @property
    def uri(self) -> str:
        return self.root

    def read(self, key: str) -> bytes:
        with self._errors("read"), self._missing(key):
            return self._path(key).read_bytes()

    def read_at_most(self, key: str, most: int) -> bytes:
        with self._errors("read"), self._missing(key), self._open_at_most(key, most) as file:
            return file.read(most)

    def read_tagged(self, key: str) -> tuple[bytes, str]:
        data = self.read(key)
        return data, _tag(data)

    def write(self, key: str, data: bytes) -> None:
        with self._errors("write"), atomic_write(self._path(key)) as file:
            file.write(data)

    def write_if_absent(self, key: str, data: bytes) -> bool:
        path = self._path(key)
        with self._errors("write"):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with atomic_write(path, commit=os.link) as file:
                    file.write(data)
            except FileExistsError:
                return False
        return True

    def write_if_unchanged(self, key: str, data: bytes, tag: str) -> bool:
        path = self._path(key)
        with self._errors("write"):
            try:
                with _locked(path.parent):
                    if _tag(path.read_bytes()) != tag:
                        return False
                    with atomic_write(path) as file:
                        file.write(data)
            except FileNotFoundError:
                return False
        return True

    def list(self, prefix: str = "") -> list[ObjectInfo]:
        folder = check_prefix(prefix).rpartition("/")[0]
        with self._errors("list"):
            infos = [info for info in walk(self.root, folder, wanted=_is_object) if info.key.startswith(prefix)]
        return sorted(infos, key=lambda info: info.key)

    def delete(self, key: str) -> None:
        with self._errors("delete from"):
            self._path(key).unlink(missing_ok=True)

    def upload(self, path: Path, key: str, *, progress: Progress | None = None) -> str:
        with path.open("rb") as source, self._errors("write"), atomic_write(self._path(key)) as file:
            return copy_hashed(source, file, progress)

    def download(self, key: str, path: Path, *, most: int | None = None, progress: Progress | None = None) -> str:
        with self._errors("read"), self._missing(key):
            source = self._path(key).open("rb") if most is None else self._open_at_most(key, most)
        with source, local_errors("write", path.parent, field=str(path)), atomic_write(path) as file:
            return copy_hashed(source, file, progress)

    def leftovers(self) -> list[ObjectInfo]:
        with self._errors("list"):
            return sorted(walk(self.root, "", wanted=_is_leftover), key=lambda info: info.key)

    def remove_leftover(self, key: str) -> None:
        path = Path(self.root, check_key(key))
        if not _is_leftover(path.name):
            raise ValueError(f"{key!r} is no leftover")
        with self._errors("delete from"):
            path.unlink(missing_ok=True)

    def filesystem(self) -> tuple[FileSystem, str]:
        from pyarrow.fs import LocalFileSystem  # slow to import, and most callers do without

        return LocalFileSystem(), self.root

    def check_conditional_writes(self) -> None:
        """Every folder has them."""

    def check_writable(self) -> None:
        check_by_writing(self)

    def _open_at_most(self, key: str, most: int) -> BinaryIO:
        file = open_plain(self._path(key))
        if (size := os.fstat(file.fileno()).st_size) > most:
            file.close()
            raise RefusedObject(f"has {size} bytes where {most} are the most")
        return file

    def _path(self, key: str) -> Path:
        path = Path(self.root, check_key(key))
        if _is_ours(path.name):
            raise ValueError(f"{key!r} is no key: the store itself uses such names")
        return path

    def _errors(self, doing: str) -> contextlib.AbstractContextManager[None]:
        return local_errors(doing, self.root, field=FIELD)

    @contextlib.contextmanager
    def _missing(self, key: str) -> Iterator[None]:
        try:
            yield
        except (FileNotFoundError, IsADirectoryError):
            raise MissingObject(f"{self.root} has no {key}") from None


@contextlib.contextmanager
def local_errors(doing: str, folder: str | Path, *, field: str) -> Iterator[None]:
    """Turn what a user has to mend about a local folder into a `GanrayError`; other errors pass."""
    try:
        yield
    except OSError as error:
        if error.errno not in REMEDIES:
            raise
        raise StorageError(field, f"cannot {doing} {folder}: {os.strerror(error.errno).lower()}", REMEDIES[error.errno]) from error


@contextlib.contextmanager
def atomic_write(path: Path, *, commit: Callable[[Path, Path], None] = os.replace) -> Iterator[BinaryIO]:
    """Open a hidden file beside `path`, which takes its name in one step when the block ends well, and is removed otherwise.

    `commit` is `os.replace`, or `os.link` to raise `FileExistsError` if `path` is there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.parent / f"{ASIDE}{uuid.uuid4().hex}"
    try:
        with aside.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        commit(aside, path)
        _sync_folder(path.parent)
    finally:
        aside.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Put a folder's new names on disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other processes and threads out of the same block; closing the file lets the next one in."""
    with (folder / LOCK).open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _is_object(name: str) -> bool:
    return not _is_ours(name)


def _is_leftover(name: str) -> bool:
    return name.startswith((ASIDE, CHECKS))


def _is_ours(name: str) -> bool:
    return name == LOCK or name.startswith(ASIDE)


def _tag(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
