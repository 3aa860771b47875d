"""Object stores, in a local folder or a bucket, opened by URI. The only folder that knows boto3."""

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ganray.config.reading.places import place_problem
from ganray.errors import ConfigError
from ganray.storage.base import FIELD, MissingObject, ObjectInfo, ObjectStore, RefusedObject
from ganray.storage.local import LocalStore


def open_store(uri: str | Path) -> ObjectStore:
    """Open a folder, `file:///folder`, or `s3://bucket/prefix[?endpoint_url=...&region=...&path_style=true]`.

    Reads and writes nothing. Raises `ConfigError` for what is neither a path nor a URI of these. Use `ObjectStore.child` for a place
    below, rather than joining URIs: the settings after `?` stand at their end.
    """
    text = str(uri)
    if problem := place_problem(text):
        raise ConfigError(FIELD, *problem)
    if text.startswith("s3://"):
        from ganray.storage.s3.store import open_s3  # boto3 is slow to import

        return open_s3(text)
    folder = unquote(urlsplit(text).path) if text.startswith("file://") else text
    return LocalStore(os.path.abspath(os.path.expanduser(folder)))


def open_job_storage(uri: str) -> ObjectStore:
    """Open a job's storage as `open_store` does. Raises `ConfigError`, too, for a relative folder where Ray runs the job.

    The working directory there vanishes with the job.
    """
    is_relative = "://" not in uri and not os.path.isabs(uri)
    if is_relative and os.environ.get("RAY_JOB_CONFIG_JSON_ENV_VAR"):
        problem = f"{uri!r} is relative, and a Ray job's working directory vanishes"
        raise ConfigError(FIELD, problem, "use s3://... or an absolute folder that all nodes share")
    return open_store(uri)


__all__ = ["MissingObject", "ObjectInfo", "ObjectStore", "RefusedObject", "open_job_storage", "open_store"]
