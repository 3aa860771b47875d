"""Footers of Parquet files: what they hold, checked against the job's columns and each other before a row is read."""

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import pyarrow as pa
import pyarrow.parquet as pq

from ganray.config import ParquetSource
from ganray.data.sources import parquet_columns as columns
from ganray.data.sources.parquet_columns import LabelKind, Shape, by
from ganray.data.sources.parquet_samples import SampleColumn
from ganray.data.sources.rows import PATH_FIELD, source_errors
from ganray.errors import DataError
from ganray.storage import MissingObject, ObjectStore, RefusedObject

IMAGES, LABELS, RAW_SHAPE = "data.source.column", "data.source.label_column", "data.source.raw_shape"
THREADS = 16
# What pyarrow raises for bytes that are not what they were. Storage errors are none of these.
DAMAGE = (pa.ArrowException, OSError, ValueError, TypeError, KeyError, OverflowError, MemoryError)
REPLACE = "remove or replace it"


@dataclass(frozen=True)
class Group:
    """A row group: its file's key, its number in the file, its rows, the number of the first one, and its bytes before compression.

    `channels_first` is the order of raw pixels that have no shape of their own.
    """

    file: str
    number: int
    rows: int
    start: int
    num_bytes: int
    channels_first: bool


@dataclass(frozen=True)
class Footer:
    """What a file says of itself.

    `label_kind` is None where there are no labels. `names` are those of the Hub's ClassLabel. `generated_shape` is (channels, height,
    width) of raw pixels as a file of generated samples states it, `tensor_shape` the shape that each row of tensors has, and
    `has_shapes` whether each row of raw pixels has its own, as tensors and lists of lists do.
    """

    file: str
    groups: list[Group]
    label_kind: LabelKind | None
    names: list[str] | None
    generated_shape: Shape | None
    tensor_shape: Shape | None
    has_shapes: bool


def read_footers(store: ObjectStore, keys: list[str], source: ParquetSource, samples: SampleColumn) -> list[Footer]:
    """Read the footers of files that have rows, whose columns alone matter: of others, many tools cannot tell the types.

    Raises `DataError` for a file that is damaged, lacks the job's columns, or does not go with the others.
    """
    with ThreadPoolExecutor(THREADS) as threads:
        read = list(threads.map(partial(_read_footer, store, source, samples), keys))
    footers = [footer for footer in read if footer is not None]
    if not footers:
        raise DataError(PATH_FIELD, f"the Parquet files in {source.path} have no rows", "name files with samples")
    _check_labels(footers, source)
    _check_shapes(footers, source)
    return footers


@contextlib.contextmanager
def open_parquet(store: ObjectStore, key: str) -> Iterator[pq.ParquetFile]:
    """Open a file. Raises one of `DAMAGE`, `RefusedObject` for a pipe, `MissingObject`, and `DataError` where the storage fails."""
    with source_errors(), store.open(key) as file:
        yield pq.ParquetFile(file, page_checksum_verification=True)


def _read_footer(store: ObjectStore, source: ParquetSource, samples: SampleColumn, key: str) -> Footer | None:
    try:
        with open_parquet(store, key) as parquet:
            schema, metadata = parquet.schema_arrow, parquet.metadata
            _check_rows(metadata)
            if metadata.num_rows == 0:
                return None
            _check_columns(schema, source, samples, key)
            return _footer(schema, metadata, source, samples, key)
    except (RefusedObject, MissingObject) as error:
        problem = "has vanished" if isinstance(error, MissingObject) else str(error)
        raise DataError(PATH_FIELD, f"{key} {problem}", REPLACE) from error
    except DAMAGE as error:
        raise DataError(PATH_FIELD, f"{key} is not a Parquet file, or damaged ({reason_of(error)})", REPLACE) from error


def _footer(schema: pa.Schema, metadata: pq.FileMetaData, source: ParquetSource, samples: SampleColumn, key: str) -> Footer:
    images = schema.field(samples.name).type
    labels = schema.field(source.label_column).type if source.label_column else None
    generated_shape = columns.generated_shape(schema, images)
    channels_first = source.raw_layout == "channels-first" or (source.raw_layout == "auto" and generated_shape is not None)
    return Footer(
        file=key,
        groups=_groups(metadata, key, channels_first=channels_first),
        label_kind=columns.label_kind(labels) if labels else None,
        names=columns.class_names(schema, source.label_column) if source.label_column else None,
        generated_shape=generated_shape,
        tensor_shape=columns.tensor_shape(images),
        has_shapes=columns.has_shapes(images),
    )


def reason_of(error: BaseException) -> str:
    """Return the first line of an error as a short reason."""
    return " ".join(str(error).split())[:150] or type(error).__name__


def _groups(metadata: pq.FileMetaData, key: str, *, channels_first: bool) -> list[Group]:
    """Return the row groups of a file.

    Columns' chunks are not looked at: pyarrow aborts the process where a damaged footer has them wrong.
    """
    groups, start = [], 0
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        groups.append(Group(key, number, group.num_rows, start, group.total_byte_size, channels_first))
        start += group.num_rows
    return groups


def _check_rows(metadata: pq.FileMetaData) -> None:
    """Raise `ValueError` if the numbers of rows cannot be right."""
    rows = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
    if sum(rows) != metadata.num_rows or min(rows, default=0) < 0:
        raise ValueError(f"its row groups have {sum(rows)} rows, and it has {metadata.num_rows}")


def _check_columns(schema: pa.Schema, source: ParquetSource, samples: SampleColumn, key: str) -> None:
    for field, column in ((IMAGES, samples.name), (LABELS, source.label_column)):
        if column is not None and schema.names.count(column) != 1:
            has = "several columns" if column in schema.names else "no column"
            raise DataError(field, f"{key} has {has} {column}", f"name one of {', '.join(schema.names)}")
    if found := samples.problem(schema.field(samples.name).type, is_raw=source.raw_shape is not None):
        raise DataError(IMAGES, f"column {samples.name} of {key} {found[0]}", found[1])
    if source.label_column:
        kind = schema.field(source.label_column).type
        try:
            columns.label_kind(kind)
        except TypeError:
            raise DataError(LABELS, f"column {source.label_column} of {key} holds {kind}", "name a column of integers or text") from None


def _check_labels(footers: list[Footer], source: ParquetSource) -> None:
    """Raise `DataError` if the files' labels are not of one kind, or are named differently."""
    if not source.label_column:
        return
    column, kinds = source.label_column, {footer.label_kind: footer.file for footer in footers if footer.label_kind}
    if not kinds:
        raise DataError(LABELS, f"column {column} holds nothing but nulls", "name a column of integers or text, or leave it out")
    if len(kinds) > 1:
        problem = f"column {column} holds {' and '.join(f'{kind} in {file}' for kind, file in kinds.items())}"
        raise DataError(LABELS, problem, "write all files alike, or name a folder of those that are")
    named = {tuple(footer.names): footer.file for footer in footers if footer.names}
    if len(named) > 1:
        problem = f"column {column} has other class names in {' than in '.join(list(named.values())[:2])}"
        raise DataError(LABELS, problem, "write all files alike, or name a folder of those that are")


def _check_shapes(footers: list[Footer], source: ParquetSource) -> None:
    """Raise `DataError` if files state shapes of raw pixels that are not the job's, or, where it has none, not one."""
    if source.raw_shape is None:
        stated = {footer.generated_shape: footer.file for footer in footers}
        if len(stated) > 1:
            shapes = " and ".join(f"{by(shape) if shape else 'no shape of raw pixels'} in {file}" for shape, file in stated.items())
            raise DataError(PATH_FIELD, f"the files state {shapes}", "name files that are alike")
        return
    height, width, channels = source.raw_shape
    first = (channels, height, width)
    for footer in footers:
        right = (first,) if footer.generated_shape else (first, source.raw_shape, (height, width) if channels == 1 else first)
        if (stated_shape := footer.generated_shape or footer.tensor_shape) and stated_shape not in right:
            problem = f"{footer.file} states a shape of {by(stated_shape)}, and this is {by(source.raw_shape)}"
            raise DataError(RAW_SHAPE, problem, "write the height, width and channels that the files have")
