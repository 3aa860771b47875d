"""Reading local files that others may have made or be changing: plain ones only, hashed as they are copied, gone or not."""

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from ganray.storage.base import ObjectInfo, Progress, RefusedObject


def open_plain(path: Path) -> BinaryIO:
    """Open a file without following a link or waiting for a pipe; raise `RefusedObject` for whatever is no plain file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENXIO):
            raise
        raise RefusedObject("is a link, or no file") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise RefusedObject("is no plain file")
    return os.fdopen(descriptor, "rb")


def copy_hashed(source: BinaryIO, target: BinaryIO, progress: Progress | None) -> str:
    """Copy a file's content and return its SHA-256."""
    digest, total, done = hashlib.sha256(), os.fstat(source.fileno()).st_size, 0
    while piece := source.read(1 << 20):
        target.write(piece)
        digest.update(piece)
        done += len(piece)
        if progress:
            progress(done, total)
    return digest.hexdigest()


def walk(root: str, folder: str, *, wanted: Callable[[str], bool]) -> Iterator[ObjectInfo]:
    """Yield the files below `folder` of `root` whose names are `wanted`. Those that vanish meanwhile are left out."""
    for parent, _, names in os.walk(Path(root, folder), onerror=_raise_unless_missing):
        for name in names:
            path = Path(parent, name)
            with contextlib.suppress(FileNotFoundError):
                if wanted(name):
                    status = path.stat()
                    yield ObjectInfo(path.relative_to(root).as_posix(), status.st_size, status.st_mtime)


def _raise_unless_missing(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error
