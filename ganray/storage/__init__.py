"""Where ganray keeps things: a local folder or a bucket, opened by URI. The only room that knows boto3."""

import dataclasses
import os
from pathlib import Path
from typing import cast
from urllib.parse import unquote, urlsplit

from ganray.errors import ConfigError
from ganray.storage.base import FIELD, MissingObject, ObjectInfo, ObjectStore, RefusedObject, check_key
from ganray.storage.local import LocalStore


def open_store(uri: str | Path) -> ObjectStore:
    """Open a folder, `file:///folder`, or `s3://bucket/prefix[?endpoint_url=...&region=...&path_style=true]`.

    Reads and writes nothing. Raises `GanrayError` for a URI that names neither. Go down by `child`, not by joining URIs:
    what follows `?` belongs at their end.
    """
    text = str(uri)
    scheme = text.partition("://")[0] if "://" in text else ""
    if scheme == "s3":
        from ganray.storage.s3.store import open_s3  # boto3 is slow to import

        return open_s3(text)
    if scheme not in ("", "file"):
        raise ConfigError(FIELD, f"there is no kind of store named {scheme}://", "name a folder or s3://bucket/prefix")
    folder = unquote(urlsplit(text).path) if scheme else text
    return LocalStore(os.path.abspath(os.path.expanduser(folder)))


def child(store: ObjectStore, prefix: str) -> ObjectStore:
    """Return the part of a store below `prefix`, as a store that shares its connections."""
    root = f"{store.root}/{check_key(prefix.removesuffix('/'))}"
    return cast(ObjectStore, dataclasses.replace(store, root=root))  # every implementation is a dataclass


__all__ = ["MissingObject", "ObjectInfo", "ObjectStore", "RefusedObject", "child", "open_store"]
