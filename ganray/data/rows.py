"""What every source turns into: a listing that is cheap to make, and from it a Ray Dataset of raw rows in a fixed order."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import ray.data

from ganray.config import UserError
from ganray.store import ObjectStore, open_store

ROW_SCHEMA = pa.schema([("name", pa.string()), ("data", pa.large_binary()), ("label", pa.int32())])
UNLABELLED = -1
PATH_FIELD = "data.source.path"
TASKS = 16  # a small source is cut into about this many pieces, so that a few CPUs share it evenly


@dataclass(frozen=True)
class Rows:
    """Raw samples: a dataset of `ROW_SCHEMA`, where null `data` means that there was nothing to read."""

    dataset: ray.data.Dataset
    count: int
    raw_shape: tuple[int, int, int] | None = None  # (height, width, channels) of raw pixels; None: encoded pictures
    classes: list[str] | None = None
    licence: str | None = None


@dataclass(frozen=True)
class Listing:
    """What a source holds, without having read a sample of it.

    `identity` is plain data that changes whenever the samples may have changed. `open` starts reading.
    """

    name: str
    identity: list
    open: Callable[[], Rows]


def row_table(names: Sequence[str], data: Sequence[bytes | None] | pa.Array, labels: Sequence[int] | pa.Array) -> pa.Table:
    """Rows as a table of `ROW_SCHEMA`."""
    return pa.table([names, data, labels], schema=ROW_SCHEMA)


def piece_size(count: int, *, least: int, most: int) -> int:
    """Rows in a piece, when `count` rows are shared out among tasks."""
    return min(most, max(least, math.ceil(count / TASKS)))


def cut_table(table: pa.Table, size: int) -> list[pa.Table]:
    """Cut a table into pieces of `size` rows; the last may be shorter."""
    return [table.slice(start, size) for start in range(0, table.num_rows, size)]


def dataset_of(pieces: list[pa.Table]) -> ray.data.Dataset:
    """A dataset with one block a piece, which keeps its order whatever runs in parallel and prints no progress bars."""
    dataset = ray.data.from_arrow(pieces)
    dataset.context.execution_options.preserve_order = True
    dataset.context.enable_progress_bars = False
    return dataset


def is_remote(path: str) -> bool:
    """Whether a path is a URI such as s3://bucket/prefix rather than a local one."""
    return "://" in path


def open_folder(path: str) -> ObjectStore:
    """Open a source's folder or s3:// prefix. Raises `UserError` if a local one is missing."""
    if is_remote(path):
        return open_store(path)
    folder = Path(path).expanduser().resolve()
    if not folder.is_dir():
        problem = f"{path} is a file, not a folder" if folder.exists() else f"the folder {path} does not exist"
        raise UserError(PATH_FIELD, problem, "name an existing folder or s3:// prefix")
    return open_store(str(folder))


def last_part(path: str) -> str:
    """The folder's own name: the last part of a local path or URI."""
    return path.rstrip("/").rsplit("/", 1)[-1] if is_remote(path) else Path(path).expanduser().resolve().name


def is_hidden(key: str) -> bool:
    """Whether any part of a key starts with a dot, or the key is the marker that some tools write for a folder."""
    return key.endswith("/") or any(part.startswith(".") for part in key.split("/"))
