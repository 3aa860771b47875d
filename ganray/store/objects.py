"""What a store can do, whatever it lies on: named objects, each of which readers see whole or not at all."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

FIELD = "storage"  # what a user points at when a store does not work


@dataclass(frozen=True)
class ObjectInfo:
    """An object in a listing: its key, its size in bytes, and when it was last written in Unix seconds."""

    key: str
    size: int
    modified: float


class MissingObject(KeyError):
    """A key was read that is not there."""


class ObjectStore(Protocol):
    """Objects under one URI. Implementations are frozen dataclasses with a `root`, picklable and safe to share by threads.

    Keys are relative paths with '/' between their parts; `ValueError` for any other. What a user has to mend (rights, a missing
    bucket, a full disk, an unreachable server) is raised as `UserError`.
    """

    root: str

    @property
    def uri(self) -> str:
        """What `open_store` opens the same place by: absolute, without a slash at the end."""

    def read(self, key: str) -> bytes:
        """Return an object's content. Raises `MissingObject`."""

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

    def upload(self, path: Path, key: str) -> None:
        """Make or replace an object from a local file of any size, in one step."""

    def download(self, key: str, path: Path) -> None:
        """Copy an object to a local file, which is replaced in one step. Raises `MissingObject`."""

    def filesystem(self) -> tuple[FileSystem, str]:
        """Return the same place for pyarrow and Ray Data: a filesystem, and the path in it."""

    def check_writable(self) -> None:
        """Write a small object and remove it again. Raises `UserError` where that cannot be done."""


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
    key = f".write-check-{uuid.uuid4().hex}"
    store.write(key, b"ganray checks that it can write here\n")
    store.delete(key)
