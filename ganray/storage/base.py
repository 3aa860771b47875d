"""The interface of an object store: named objects, each of which readers see whole or not at all."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol, Self, TypeAlias

FIELD = "storage"  # the field of errors about a store
CHECKS = ".ganray-check-"  # prefix of the names of objects that only probe what a store can do
Progress = Callable[[int, int], None]  # takes bytes done and bytes in all


@dataclass(frozen=True)
class ObjectInfo:
    """An object in a listing: its key, its size in bytes, and its last modification in Unix seconds."""

    key: str
    size: int
    modified: float


Listing: TypeAlias = list[ObjectInfo]  # an alias: in a class with a method `list`, that name is the method


class MissingObject(KeyError):
    """A key that does not exist was read."""


class RefusedObject(Exception):
    """An object of untrusted origin that is not read: larger than its maximum, or not a regular file. The text gives the reason."""


class ObjectStore(Protocol):
    """Objects under one URI. Implementations are frozen dataclasses with a `root`, picklable and thread-safe.

    Keys are relative paths with '/' between their segments; any other raises `ValueError`. Rights, credentials, a missing bucket,
    a full disk or an unreachable server raise `StorageError`.
    """

    @property
    def root(self) -> str:
        """The folder, or bucket and prefix, that holds the objects."""

    @property
    def uri(self) -> str:
        """The URI by which `open_store` opens the same store: absolute, without a slash at the end."""

    def child(self, prefix: str) -> Self:
        """Return the store of the objects below `prefix`, which shares the connections. Raises `ValueError` for an invalid prefix."""

    def read(self, key: str) -> bytes:
        """Return an object's content. Raises `MissingObject`."""

    def read_at_most(self, key: str, max_bytes: int) -> bytes:
        """Return the content of an untrusted object, whose size is checked before it is read.

        Raises `MissingObject`, and `RefusedObject` for a larger one, and for a link, a pipe or anything but a regular file.
        """

    def read_tagged(self, key: str) -> tuple[bytes, str]:
        """Return an object's content and its tag for `write_if_unchanged`. Raises `MissingObject`."""

    def write(self, key: str, data: bytes) -> None:
        """Create or replace an object atomically."""

    def write_if_absent(self, key: str, data: bytes) -> bool:
        """Create an object unless it exists, and return whether this call did. Of racing calls one does.

        After a lost response the request is repeated, and an object of the same content counts as created by this call: racing
        writers write distinct contents, such as an identifier of their own.
        """

    def write_if_unchanged(self, key: str, data: bytes, tag: str) -> bool:
        """Replace an object if its tag is still that of `read_tagged`, and return whether this call did (compare-and-swap).

        A key that is swapped must not be changed by `write`, which is unconditional.
        """

    def list(self, prefix: str = "") -> Listing:
        """Return the objects whose keys start with `prefix`, at any depth, sorted by key."""

    def delete(self, key: str) -> None:
        """Remove an object, if it exists."""

    def upload(self, path: Path, key: str, *, progress: Progress | None = None) -> str:
        """Create or replace an object from a local file of any size, atomically, and return its SHA-256 in hex."""

    def download(self, key: str, path: Path, *, max_bytes: int | None = None, progress: Progress | None = None) -> str:
        """Copy an object to a local file, which is replaced atomically, and return its SHA-256 in hex.

        Raises `MissingObject`, and, given `max_bytes`, `RefusedObject` as `read_at_most` does.
        """

    def read_range(self, key: str, start: int, length: int) -> bytes:
        """Return `length` bytes of an object from `start` on, fewer where it ends. Raises `MissingObject`."""

    def open(self, key: str) -> BinaryIO:
        """Open an object to be read in pieces, at any position. Raises `MissingObject`, and `RefusedObject` for a pipe or a device."""

    def leftovers(self) -> Listing:
        """Return temporary files and incomplete uploads of killed writers, which no listing shows, by keys for `remove_leftover`."""

    def remove_leftover(self, key: str) -> None:
        """Remove an entry of `leftovers`."""

    def check_conditional_writes(self) -> None:
        """Raise `StorageError` for a server that ignores the conditions of conditional writes. Probed once a process."""

    def check_writable(self) -> None:
        """Write a small object and remove it again. Raises `StorageError` where that fails."""


def key_problem(key: str) -> str | None:
    """Return what makes a key invalid, None for a valid one."""
    if "\0" in key:
        return "NUL character"
    segments = key.split("/")
    if "" in segments:
        return "empty path segment"
    return "path segment '.' or '..'" if {".", ".."} & set(segments) else None


def check_key(key: str) -> str:
    """Return `key`. Raises `ValueError` unless it is a relative path of plain segments."""
    if problem := key_problem(key):
        raise ValueError(f"invalid object key {key!r}: {problem}")
    return key


def check_prefix(prefix: str) -> str:
    """Return `prefix`. Raises `ValueError` if no valid key starts with it."""
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
