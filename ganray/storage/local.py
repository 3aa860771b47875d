"""An object store in a local folder, which the first write creates."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

from ganray.errors import StorageError
from ganray.storage.base import (
    CHECKS,
    FIELD,
    Listing,
    MissingObject,
    Progress,
    RefusedObject,
    check_by_writing,
    check_key,
    check_prefix,
)
from ganray.storage.files import (
    TEMPORARY,
    atomic_write,
    copy_hashed,
    file_lock,
    local_errors,
    open_regular,
    open_untrusted,
    remove_empty_folders,
    walk,
)

LOCK = ".lock"  # name of the file that is locked while an object of its folder is swapped


@dataclass(frozen=True)
class LocalStore:
    """Objects are files below the folder `root`, an absolute path. Safe for several processes on one machine."""

    root: str

    @property
    def uri(self) -> str:
        """The folder's absolute path."""
        return self.root

    def child(self, prefix: str) -> Self:
        """Return the store of the objects below `prefix`."""
        return dataclasses.replace(self, root=f"{self.root}/{check_key(prefix.removesuffix('/'))}")

    def read(self, key: str) -> bytes:
        """Read the file."""
        with self._open_regular(key) as file:
            return file.read()

    def read_at_most(self, key: str, max_bytes: int) -> bytes:
        """Read a regular file, opened without following links, after a look at its size."""
        with self._errors("read", key), self._missing(key), self._open_at_most(key, max_bytes) as file:
            return file.read(max_bytes)

    def read_tagged(self, key: str) -> tuple[bytes, str]:
        """Read the file; the tag is the SHA-256 of its content."""
        data = self.read(key)
        return data, _tag(data)

    def write(self, key: str, data: bytes) -> None:
        """Write a temporary file and rename it."""
        with self._errors("write"), atomic_write(self._path(key)) as file:
            file.write(data)

    def write_if_absent(self, key: str, data: bytes) -> bool:
        """Write a temporary file and link it to the name, which fails if that exists."""
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
        """Compare and replace the file under a lock of its folder."""
        path = self._path(key)
        with self._errors("write"):
            try:
                with file_lock(path.parent / LOCK):
                    if _tag(path.read_bytes()) != tag:
                        return False
                    with atomic_write(path) as file:
                        file.write(data)
            except FileNotFoundError:
                return False
        return True

    def list(self, prefix: str = "") -> Listing:
        """Walk the folder."""
        folder = check_prefix(prefix).rpartition("/")[0]
        with self._errors("list"):
            infos = [info for info in walk(self.root, folder, select=_is_object) if info.key.startswith(prefix)]
        return sorted(infos, key=lambda info: info.key)

    def delete(self, key: str) -> None:
        """Remove the file, and folders that it leaves empty."""
        path = self._path(key)
        with self._errors("delete from"):
            path.unlink(missing_ok=True)
        remove_empty_folders(path.parent, below=Path(self.root))

    def upload(self, path: Path, key: str, *, progress: Progress | None = None) -> str:
        """Copy the file to a temporary one and rename it."""
        with path.open("rb") as source, self._errors("write"), atomic_write(self._path(key)) as file:
            return copy_hashed(source, file, progress)

    def download(self, key: str, path: Path, *, max_bytes: int | None = None, progress: Progress | None = None) -> str:
        """Copy the file, which need not be trusted if its size is bounded."""
        with self._errors("read", key), self._missing(key):
            source = self._open_regular(key) if max_bytes is None else self._open_at_most(key, max_bytes)
        with source, local_errors("write", path.parent, field=str(path)), atomic_write(path) as file:
            return copy_hashed(source, file, progress)

    def read_range(self, key: str, start: int, length: int) -> bytes:
        """Read from the middle of the file."""
        with self.open(key) as file, self._errors("read", key):
            file.seek(start)
            return file.read(length)

    def open(self, key: str) -> BinaryIO:
        """Open the file that the path, or a link there, names."""
        with self._errors("read", key), self._missing(key):
            return open_regular(self._path(key))

    def leftovers(self) -> Listing:
        """List the temporary files that killed writers left."""
        with self._errors("list"):
            return sorted(walk(self.root, "", select=_is_leftover), key=lambda info: info.key)

    def remove_leftover(self, key: str) -> None:
        """Remove a temporary file."""
        path = Path(self.root, check_key(key))
        if not _is_leftover(path.name):
            raise ValueError(f"{key!r} is not a leftover")
        with self._errors("delete from"):
            path.unlink(missing_ok=True)
        remove_empty_folders(path.parent, below=Path(self.root))

    def check_conditional_writes(self) -> None:
        """Every folder supports them."""

    def check_writable(self) -> None:
        """Write a small file and remove it again."""
        check_by_writing(self)

    def _open_regular(self, key: str) -> BinaryIO:
        """Open a file as `open` does. Raises `StorageError` for a pipe and the like."""
        try:
            return self.open(key)
        except RefusedObject as error:
            raise StorageError(FIELD, f"cannot read {self.root}/{key}: it {error}", "remove it, or name another place") from None

    def _open_at_most(self, key: str, max_bytes: int) -> BinaryIO:
        file = open_untrusted(self._path(key))
        if (size := os.fstat(file.fileno()).st_size) > max_bytes:
            file.close()
            raise RefusedObject(f"has {size} bytes, more than the {max_bytes} expected")
        return file

    def _path(self, key: str) -> Path:
        path = Path(self.root, check_key(key))
        if _is_internal(path.name):
            raise ValueError(f"invalid object key {key!r}: the store reserves such names")
        return path

    def _errors(self, operation: str, key: str = "") -> contextlib.AbstractContextManager[None]:
        """Translate errors of an operation on the folder, or on one file."""
        return local_errors(operation, Path(self.root, key), field=FIELD)

    @contextlib.contextmanager
    def _missing(self, key: str) -> Iterator[None]:
        try:
            yield
        except (FileNotFoundError, IsADirectoryError):
            raise MissingObject(f"{self.root} has no {key}") from None


def _is_object(name: str) -> bool:
    return not _is_internal(name)


def _is_leftover(name: str) -> bool:
    return name.startswith((TEMPORARY, CHECKS))


def _is_internal(name: str) -> bool:
    return name == LOCK or name.startswith(TEMPORARY)


def _tag(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
