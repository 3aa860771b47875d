"""Local files: atomic writes and folders, locks between processes, reading untrusted files, and errors of the file system."""

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import stat
import uuid
from collections.abc import Callable, Iterator
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

from ganray.errors import StorageRefused
from ganray.storage.base import ObjectInfo, Progress, RefusedObject

IRREGULAR = "is not a regular file"
TEMPORARY = ".tmp-"  # prefix of the names of files that are being written
RACES = 200  # in a row that a writer may lose against removers of empty folders

_RIGHTS = "grant this user the right, or name another place"
_SPACE = "free some space, or name another place"
_FOLDER = "name a folder; this path is, or goes through, a file"
REMEDIES = {
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.EROFS: "mount it for writing, or name another place",
    errno.ENOSPC: _SPACE,
    errno.EDQUOT: _SPACE,
    errno.ENOTDIR: _FOLDER,
    errno.EEXIST: _FOLDER,
    errno.ENAMETOOLONG: "name a shorter path",
}


@contextlib.contextmanager
def local_errors(operation: str, folder: str | Path, *, field: str) -> Iterator[None]:
    """Translate errors of rights, space and paths into a `StorageRefused` for `field`; others pass. `operation` is as in "write"."""
    try:
        yield
    except OSError as error:
        if error.errno not in REMEDIES:
            raise
        raise StorageRefused(field, f"cannot {operation} {folder}: {os.strerror(error.errno).lower()}", REMEDIES[error.errno]) from error


@contextlib.contextmanager
def atomic_write(path: Path, *, commit: Callable[[Path, Path], None] = os.replace) -> Iterator[BinaryIO]:
    """Open a temporary file beside `path`, which takes its name in one step when the block ends well, and is removed otherwise.

    `commit` is `os.replace`, or `os.link` to raise `FileExistsError` if `path` exists.
    """
    file = _open_beside(path)
    temporary = Path(file.name)
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        commit(temporary, path)
        _sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Give a temporary folder beside `path`, which takes its name in one step when the block ends well, and is removed otherwise."""
    temporary = path.parent / f"{TEMPORARY}{uuid.uuid4().hex}"
    temporary.mkdir(parents=True)
    try:
        yield temporary
        temporary.replace(path)
        _sync_folder(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextlib.contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Hold an exclusive lock (flock) on a file in an existing folder, against other processes and threads of this machine."""
    with path.open("ab") as file:  # closing it releases the lock
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def remove_empty_folders(folder: Path, *, below: Path) -> None:
    """Remove a folder and those that it lies in, as far as they are empty and below another."""
    with contextlib.suppress(OSError):  # not empty, or gone
        while folder != below:
            folder.rmdir()
            folder = folder.parent


def open_regular(path: Path) -> BufferedReader:
    """Open a file that the user named, or that a link leads to, without waiting for a pipe. Raises `RefusedObject` unless it is regular."""
    return _open_regular(path, os.O_RDONLY | os.O_NONBLOCK)


def open_untrusted(path: Path) -> BufferedReader:
    """Open a regular file whose maker is not trusted. Raises `RefusedObject` for anything else, a link too."""
    return _open_regular(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)


def _open_regular(path: Path, flags: int) -> BufferedReader:
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENXIO):
            raise
        raise RefusedObject("is a link, or not a file") from None
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path)) if stat.S_ISDIR(mode) else RefusedObject(IRREGULAR)
    return os.fdopen(descriptor, "rb")


def copy_hashed(source: BinaryIO, target: BinaryIO, progress: Progress | None) -> str:
    """Copy a file's content and return its SHA-256 in hex."""
    digest, total, done = hashlib.sha256(), os.fstat(source.fileno()).st_size, 0
    while piece := source.read(1 << 20):
        target.write(piece)
        digest.update(piece)
        done += len(piece)
        if progress:
            progress(done, total)
    return digest.hexdigest()


def walk(root: str, folder: str, *, select: Callable[[str], bool]) -> Iterator[ObjectInfo]:
    """Yield the files below `folder` of `root` whose names `select` accepts, without those removed during the walk."""
    for parent, _, names in os.walk(Path(root, folder), onerror=_raise_unless_missing):
        for name in names:
            path = Path(parent, name)
            with contextlib.suppress(FileNotFoundError):
                if select(name):
                    status = path.stat()
                    yield ObjectInfo(path.relative_to(root).as_posix(), status.st_size, status.st_mtime)


def _open_beside(path: Path) -> BinaryIO:
    """Create a temporary file in the folder of `path`, and the folder, which another process may remove in between while it is empty."""
    temporary = path.parent / f"{TEMPORARY}{uuid.uuid4().hex}"
    for _ in range(RACES):
        with contextlib.suppress(FileNotFoundError, FileExistsError):
            path.parent.mkdir(parents=True, exist_ok=True)
            return temporary.open("xb")
    path.parent.mkdir(parents=True, exist_ok=True)
    return temporary.open("xb")


def _sync_folder(folder: Path) -> None:
    """Flush a folder's new names to disk, if another process has not removed it with them."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _raise_unless_missing(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error
