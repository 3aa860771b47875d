"""A folder of images, local or on s3://, labelled by its sub-folders or not at all."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pyarrow as pa

from ganray.config import FolderSource
from ganray.data.sources.rows import (
    PATH_FIELD,
    UNLABELLED,
    Listing,
    Rows,
    dataset_of,
    list_files,
    piece_size,
    row_table,
    source_errors,
)
from ganray.errors import DataError
from ganray.storage import MissingObject, ObjectStore

READ_BATCH = 8  # encoded images that a task has in memory, read concurrently
PIECE_ROWS = 256


@source_errors()
def list_folder(source: FolderSource) -> Listing:
    """List a folder and its sub-folders, sorted by name, without hidden files. Raises `DataError` if it is empty."""
    files = list_files(source.path)
    if not files.infos:
        raise DataError(PATH_FIELD, f"there are no files in {source.path}", "name a folder or s3:// prefix with images")
    keys = [info.key for info in files.infos]
    classes = find_classes(keys, source.labels)
    identity = [files.store.uri, classes, [[info.key, info.size, str(info.modified)] for info in files.infos]]
    return Listing(files.name, identity, partial(_open, files.store, keys, classes))


def find_classes(keys: list[str], labels: str) -> list[str] | None:
    """Return the sorted names of the first sub-folders, or None where images are unlabelled.

    `labels` is "folders", "none" or "auto": folders if every file lies in one and there are at least two. Raises `DataError`
    if it is "folders" and a file lies in none.
    """
    loose = [key for key in keys if "/" not in key]
    if labels == "folders" and loose:
        raise DataError("data.source.labels", f"{loose[0]} is in no sub-folder", "move it into its class's folder, or use `none`")
    classes = sorted({key.split("/")[0] for key in keys if "/" in key})
    if labels == "none" or loose or (labels == "auto" and len(classes) < 2):
        return None
    return classes


def _open(store: ObjectStore, keys: list[str], classes: list[str] | None) -> Rows:
    numbers = {name: number for number, name in enumerate(classes or [])}
    labels = [numbers.get(key.split("/")[0], UNLABELLED) if classes else UNLABELLED for key in keys]
    size = piece_size(len(keys), minimum=READ_BATCH, maximum=PIECE_ROWS)
    pieces = [
        pa.table({"name": keys[start : start + size], "label": pa.array(labels[start : start + size], pa.int32())})
        for start in range(0, len(keys), size)
    ]
    dataset = dataset_of(pieces).map_batches(partial(_read, store=store), batch_size=READ_BATCH, batch_format="pyarrow")
    return Rows(dataset, len(keys), classes=classes)


def _read(batch: pa.Table, store: ObjectStore) -> pa.Table:
    """Add the files' bytes to a batch of names and labels."""
    names = batch["name"].to_pylist()
    with ThreadPoolExecutor(READ_BATCH) as threads:
        data = list(threads.map(partial(_read_file, store), names))
    return row_table(names, data, batch["label"].combine_chunks())


@source_errors()
def _read_file(store: ObjectStore, key: str) -> bytes | None:
    """Return a file's bytes, None if it has vanished since it was listed."""
    try:
        return store.read(key)
    except MissingObject:
        return None
