"""What killed writers leave in a store and no listing shows: temporary files, and the parts of incomplete uploads, which cost money."""

import contextlib
import time

from ganray.errors import StorageError
from ganray.storage.base import ObjectStore

LIVE_S = 3600.0  # within which a writer that lives ends a write


def remove_leftovers(store: ObjectStore, *, older_than_s: float = LIVE_S) -> None:
    """Remove what writers to a store left that began so long ago; 0 while nobody writes to it.

    Where the rights to do so are missing, which are rights of their own on S3, it stays.
    """
    with contextlib.suppress(StorageError):
        for info in store.leftovers():
            if time.time() - info.modified >= older_than_s:
                store.remove_leftover(info.key)
