"""What a store can do, whatever it lies on: named objects, each of which readers see whole or not at all."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

FIELD = "storage"  # what a user points at when a store does not work
CHECKS = ".ganray-check-"  # starts the names of objects that only try what a store can do
Progress = Callable[[int, int], None]  # takes bytes done and bytes in all


@dataclass(frozen=True)
class ObjectInfo:
    """An object in a listing: its key, its size in bytes, and when it was last written in Unix seconds."""

    key: str
    size: int
    modified: float


class MissingObject(KeyError):
    """A key was read that is not there."""


class RefusedObject(Exception):
    """What a careful reader does not read: larger than it may be, or no plain file. The text says which."""


class ObjectStore(Protocol):
    """Objects under one URI. Implementations are frozen dataclasses with a `root`, picklable and safe to share by threads.

    Keys are relative paths with '/' between their parts; `ValueError` for any other. What a user has to mend (rights, a missing
    bucket, a full disk, an unreachable server) is raised as `GanrayError`.
    """

    root: str

    @property
    def uri(self) -> str:
        """What `open_store` opens the same place by: absolute, without a slash at the end."""

    def read(self, key: str) -> bytes:
        """Return an object's content. Raises `MissingObject`."""

    def read_at_most(self, key: str, most: int) -> bytes:
        """Return the content of an object that others may have made, found to hold at most `most` bytes before it is read.

        Raises `MissingObject`, and `RefusedObject` for a larger one, and for a link or whatever else is no plain file.
        """

    def read_tagged(self, key: str) -> tuple[bytes, str]:
        """Return an object's content and a tag of it, for `write_if_unchanged`. Raises `MissingObject`."""

    def write(self, key: str, data: bytes) -> None:
        """Make or replace an object in one step."""

    def write_if_absent(self, key: str, data: bytes) -> bool:
        """Make an object unless it is there, and return whether this call made it. Of racing calls one makes it.

        Where a lost answer was asked for again, what is there counts as made by this call if it has the same content: racing
        writers tell theirs apart by writing who they are.
        """

    def write_if_unchanged(self, key: str, data: bytes, tag: str) -> bool:
        """Replace an object if it still is what `read_tagged` saw, and return whether this call did (compare-and-swap).

        A key that is swapped should not be changed by `write`, which asks nobody.
        """

    def list(self, prefix: str = "") -> list[ObjectInfo]:
        """Return the objects whose keys start with `prefix`, at any depth, sorted by key."""

    def delete(self, key: str) -> None:
        """Remove an object, if it is there."""

    def upload(self, path: Path, key: str, *, progress: Progress | None = None) -> str:
        """Make or replace an object from a local file of any size, in one step, and return its SHA-256 in hex."""

    def download(self, key: str, path: Path, *, most: int | None = None, progress: Progress | None = None) -> str:
        """Copy an object to a local file, which is replaced in one step, and return its SHA-256 in hex.

        Raises `MissingObject`, and, given `most` bytes, `RefusedObject` as `read_at_most` does.
        """

    def leftovers(self) -> list[ObjectInfo]:
        """Return what writers that were killed have left and no listing shows, by keys for `remove_leftover`."""

    def remove_leftover(self, key: str) -> None:
        """Remove something that `leftovers` has found."""

    def filesystem(self) -> tuple[FileSystem, str]:
        """Return the same place for pyarrow and Ray Data: a filesystem, and the path in it."""

    def check_conditional_writes(self) -> None:
        """Raise `GanrayError` on a server that ignores the conditions of conditional writes. Asks it once a process."""

    def check_writable(self) -> None:
        """Write a small object and remove it again. Raises `GanrayError` where that cannot be done."""


def check_key(key: str) -> str:
    """Return `key`, or raise `ValueError` if it is not a relative path of plain parts."""
    if "\0" in key or any(part in ("", ".", "..") for part in key.split("/")):
        raise ValueError(f"{key!r} is no key: keys are relative paths without empty parts, '.' or '..'")
    return key


def check_prefix(prefix: str) -> str:
    """Return `prefix`, or raise `ValueError` if no key could start with it."""
    if prefix:
        check_key(prefix.removesuffix("/"))
    return prefix


def check_by_writing(store: ObjectStore) -> None:
    """Write a small object of a new name and remove it again."""
    key = f"{CHECKS}write-{uuid.uuid4().hex}"
    store.write(key, b"ganray checks that it can write here\n")
    store.delete(key)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
