"""Paths and URIs as text: which are folders, which are URIs, and which are neither."""

import os
import re
from pathlib import Path

JOBS = Path(__file__).parents[2] / "jobs"  # job files that work as they are
EXAMPLE = "name a folder or s3://bucket/prefix"
MAX_PATH, MAX_NAME = 4095, 255  # bytes that Linux allows in a path, and between two slashes


def place_problem(text: str) -> tuple[str, str] | None:
    """Return problem and remedy of a text that is neither a path nor a URI that ganray opens, None for one that is.

    Secrets may stand in a URI, of which a problem repeats the scheme alone.
    """
    if not text:
        return "is empty", EXAMPLE
    if "\0" in text:
        return "has a NUL character", EXAMPLE
    scheme, separator, rest = text.partition("://")
    if separator and scheme not in ("s3", "file"):
        return f"unsupported scheme {scheme[:20]}://", EXAMPLE
    if not separator and (start := re.match(r"(s3|file):|[A-Za-z][A-Za-z0-9+.-]{,19}:/", text)):
        return f"{start[0]!r} begins neither a path nor a URI", "write s3://bucket/prefix, file:///folder, or ./ before a folder's name"
    if scheme == "file" and separator:
        return _file_uri_problem(rest)
    return None if separator else path_problem(text)


def _file_uri_problem(rest: str) -> tuple[str, str] | None:
    """Return what is wrong with a URI of a local file, after its file://."""
    host, _, path = rest.partition("/")
    if host not in ("", "localhost"):
        return "a file:// URI names another machine", "write file:///folder, with three slashes, or s3://bucket/prefix"
    if "?" in path or "#" in path:
        return "a file:// URI has ? or # in it", "write %3F or %23, or the plain path"
    return path_problem(path)


def path_problem(path: str) -> tuple[str, str] | None:
    """Return problem and remedy of a path that no file can have, None for one that a file can."""
    try:
        encoded = os.fsencode(path)
    except UnicodeEncodeError:
        return "has characters that no path can have", EXAMPLE
    if len(encoded) > MAX_PATH or max(map(len, encoded.split(b"/"))) > MAX_NAME:
        return f"the path, of {len(path):,} characters, is too long", f"use at most {MAX_NAME} between two slashes, {MAX_PATH:,} in all"
    return None
