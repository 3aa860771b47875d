"""Listings and raw rows: what every source gives; a listing is cheap, and opens a Ray Dataset of raw rows in a fixed order."""

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pyarrow as pa

from ganray.data.card import SkippedSample
from ganray.errors import DataError, GanrayError
from ganray.storage import ObjectInfo, ObjectStore, open_store
from ganray.storage.base import FIELD as STORE_FIELD

if TYPE_CHECKING:
    import ray.data

ROW_SCHEMA = pa.schema([("name", pa.string()), ("data", pa.large_binary()), ("label", pa.int32()), ("reason", pa.string())])
UNLABELLED = -1
PATH_FIELD = "data.source.path"
STORAGE_FOLDERS = ("datasets", "models", "runs", "sweeps", "tensorboard")  # of a storage, what ganray keeps there
NUM_TASKS = 16  # a small source is cut into about this many pieces, so that a few CPUs share it evenly


@dataclass(frozen=True)
class Rows:
    """Raw samples: a dataset of `ROW_SCHEMA`, null `data` where there is nothing to read, and then the reason, if one is known."""

    dataset: "ray.data.Dataset"
    count: int
    raw_shape: tuple[int, ...] | None = None  # (height, width, channels) of raw pixels, of clips frames before it; None: other samples
    classes: list[str] | None = None
    licence: str | None = None
    is_small: bool = False  # whether a sample is no file, but a line or a row
    num_held_out: int = 0  # readable samples at the end that are not trained on

    @property
    def are_files(self) -> bool:
        """Whether samples are encoded files, each of which may be large."""
        return self.raw_shape is None and not self.is_small


@dataclass(frozen=True)
class Listing:
    """What a source has, before a sample of it is read.

    `identity` is JSON data that changes whenever the samples may have changed. `open` starts reading. `left_out` are the files of
    the source that are no samples, with the reasons, and `messages` what is to be known of them and of classes, for those who prepare
    or examine it to log. `count` and `classes` are None where only reading the samples would tell.
    """

    name: str
    identity: list[Any]
    open: Callable[[], Rows]
    left_out: list[SkippedSample] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    count: int | None = None
    classes: list[str] | None = None
    is_labelled: bool = False


def row_table(
    names: Sequence[str],
    data: Sequence[bytes | None] | pa.Array,
    labels: Sequence[int] | pa.Array,
    reasons: Sequence[str | None] | None = None,
) -> pa.Table:
    """Return columns as a table of `ROW_SCHEMA`."""
    return pa.table([names, data, labels, reasons or pa.nulls(len(names), pa.string())], schema=ROW_SCHEMA)


def piece_size(count: int, *, minimum: int, maximum: int) -> int:
    """Return the rows of a piece, when `count` rows are divided among tasks."""
    return min(maximum, max(minimum, math.ceil(count / NUM_TASKS)))


def cut_table(table: pa.Table, size: int) -> list[pa.Table]:
    """Cut a table into pieces of `size` rows; the last may be shorter."""
    return [table.slice(start, size) for start in range(0, table.num_rows, size)]


def dataset_of(pieces: list[pa.Table]) -> "ray.data.Dataset":
    """Return a Ray Dataset of one block a piece, which keeps its order whatever runs in parallel and prints no progress bars."""
    import ray.data  # here, so that listing a source needs no Ray

    dataset = ray.data.from_arrow(pieces)
    dataset.context.execution_options.preserve_order = True
    dataset.context.enable_progress_bars = False
    dataset.context.raise_original_map_exception = True  # so that a `GanrayError` can be unwrapped
    return dataset


def is_remote(path: str) -> bool:
    """Return whether a path is a URI such as s3://bucket/prefix rather than a local one."""
    return "://" in path


def open_folder(path: str) -> ObjectStore:
    """Open a source's folder or s3:// prefix. Raises `DataError` if a local one is missing."""
    if is_remote(path):
        return open_store(path)
    folder = Path(path).expanduser().resolve()
    if not folder.is_dir():
        problem = f"{path} is a file, not a folder" if folder.exists() else f"the folder {path} does not exist"
        raise DataError(PATH_FIELD, problem, "name an existing folder or s3:// prefix")
    return open_store(str(folder))


def storage_prefixes(store: ObjectStore, storage: ObjectStore | None) -> list[str]:
    """Return the prefixes of what ganray keeps in a storage, as keys of the store of a source; none if it lies elsewhere."""
    if storage is None:
        return []
    uri = storage.uri.partition("?")[0]
    root, below = f"{store.uri.partition('?')[0]}/", f"{uri if is_remote(uri) else Path(uri).resolve()}/"
    return [f"{below.removeprefix(root)}{name}/" for name in STORAGE_FOLDERS] if below.startswith(root) else []


@dataclass(frozen=True)
class SourceFiles:
    """The files of a source: their store, a name for them, and their listing, sorted by key."""

    store: ObjectStore
    name: str
    infos: list[ObjectInfo]


def list_files(path: str, storage: ObjectStore | None, *, suffix: str) -> SourceFiles:
    """List the files below a folder or s3:// prefix that end in `suffix`, or the one such file that `path` names.

    Hidden ones, and those that ganray keeps in `storage`, are left out. Raises `DataError` if a local path is missing.
    """
    folder, name = split_path(path)
    if not is_remote(path) and (file := Path(folder, name)).is_file():  # a listing would walk all of its folder
        return SourceFiles(open_folder(folder), name, [ObjectInfo(name, file.stat().st_size, file.stat().st_mtime)])
    if is_remote(path) and name.endswith(suffix):
        store = open_folder(folder)
        if infos := [info for info in store.list(name) if info.key == name]:  # else a folder, as Spark names them
            return SourceFiles(store, name, infos)
    if not is_remote(path) and not Path(path).expanduser().exists():
        raise no_files(f"{path} does not exist", suffix)
    store = open_folder(path)
    own = tuple(storage_prefixes(store, storage))
    infos = [info for info in store.list("") if info.key.endswith(suffix) and not is_hidden(info.key) and not info.key.startswith(own)]
    return SourceFiles(store, name, sorted(infos, key=lambda info: info.key))


def no_files(problem: str, suffix: str) -> DataError:
    """Return the error for a source without a file to read."""
    return DataError(PATH_FIELD, problem, f"name a {suffix} file, or a folder or s3:// prefix of such files")


def split_path(path: str) -> tuple[str, str]:
    """Split a local path or URI into its parent folder and its own name; what follows `?` stays with the folder."""
    if not is_remote(path):
        local = Path(path).expanduser().resolve()
        return str(local.parent), local.name
    parts = urlsplit(path, allow_fragments=False)
    folder, _, name = parts.path.rstrip("/").rpartition("/")
    return parts._replace(path=folder).geturl(), name or parts.netloc


def is_hidden(key: str) -> bool:
    """Return whether any part of a key starts with a dot."""
    return any(part.startswith(".") for part in key.split("/"))


@contextlib.contextmanager
def source_errors() -> Iterator[None]:
    """Re-raise a storage error that a source met as a `DataError` of the source's path."""
    try:
        yield
    except GanrayError as error:
        if error.field != STORE_FIELD:
            raise
        found = DataError(PATH_FIELD, error.problem, error.remedy)
        found.depends_on_process = error.depends_on_process
        raise found from error
