"""Parquet files with a column of images, encoded or raw, local or on s3://."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ganray.config import ParquetSource
from ganray.data.sources.rows import (
    PATH_FIELD,
    UNLABELLED,
    Listing,
    Rows,
    dataset_of,
    list_files,
    row_table,
    source_errors,
)
from ganray.errors import DataError
from ganray.storage import ObjectStore

READ_ROWS = 64
PIECE_BYTES = 32 * 2**20  # bytes of a row group, before compression, that one task decodes
PIECE_ROWS = 1024
FOOTER_THREADS = 16
MAX_CLASSES = 10_000


@dataclass(frozen=True)
class Group:
    """A row group: its file's key, its number in the file, its rows, the number of the first one, and its bytes before compression."""

    file: str
    number: int
    rows: int
    start: int
    num_bytes: int


@source_errors()
def list_parquet(source: ParquetSource) -> Listing:
    """List the Parquet files under a path, sorted by name. Raises `DataError` if there are none."""
    files = list_files(source.path, suffix=".parquet")
    if not files.infos:
        problem = f"there are no .parquet files in {source.path}"
        raise DataError(PATH_FIELD, problem, "name a file, or a folder or s3:// prefix that holds some")
    settings = [source.image_column, source.label_column, source.raw_shape]
    identity = [files.store.uri, settings, [[info.key, info.size, str(info.modified)] for info in files.infos]]
    read = partial(_open, files.store, [info.key for info in files.infos], source)
    return Listing(files.name.removesuffix(".parquet"), identity, read)


def _open(store: ObjectStore, keys: list[str], source: ParquetSource) -> Rows:
    with ThreadPoolExecutor(FOOTER_THREADS) as threads:
        groups = [group for groups in threads.map(partial(_read_footer, store, source), keys) for group in groups]
    count = sum(group.rows for group in groups)
    if not count:
        raise DataError(PATH_FIELD, f"the Parquet files in {source.path} have no rows", "name files with images")
    values = _class_values(store, keys, source.label_column) if source.label_column else None
    pieces = [pa.table({key: [value] for key, value in vars(group).items()}) for group in groups if group.rows]
    read_groups = partial(_read_groups, store=store, source=source, values=values)
    read = dataset_of(pieces).map_batches(read_groups, batch_size=None, batch_format="pyarrow")
    # A row group may be a whole file: cut it, so that its images are decoded in parallel.
    dataset = read.repartition(target_num_rows_per_block=_rows_per_task(groups), strict=True)
    return Rows(
        dataset, count, raw_shape=source.raw_shape, classes=None if values is None else [str(value) for value in values.to_pylist()]
    )


def _rows_per_task(groups: list[Group]) -> int:
    bytes_per_row = max(group.num_bytes / group.rows for group in groups if group.rows)
    return min(PIECE_ROWS, max(1, int(PIECE_BYTES / max(bytes_per_row, 1))))


def _read_footer(store: ObjectStore, source: ParquetSource, key: str) -> list[Group]:
    """Return the row groups of a file. Raises `DataError` if it is not Parquet or lacks the job's columns."""
    try:
        with _open_file(store, key) as file:
            parquet = pq.ParquetFile(file)
            _check_columns(parquet.schema_arrow, source, key)
            metadata = parquet.metadata
    except pa.ArrowInvalid as error:
        raise DataError(PATH_FIELD, f"{key} is not a Parquet file ({error})", "remove or replace it") from error
    groups, start = [], 0
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        groups.append(Group(key, number, group.num_rows, start, group.total_byte_size))
        start += group.num_rows
    return groups


@source_errors()
def _open_file(store: ObjectStore, key: str) -> pa.NativeFile:
    filesystem, base = store.filesystem()
    return filesystem.open_input_file(f"{base}/{key}")


def _check_columns(schema: pa.Schema, source: ParquetSource, key: str) -> None:
    for field, column in (("data.source.image_column", source.image_column), ("data.source.label_column", source.label_column)):
        if column is not None and column not in schema.names:
            raise DataError(field, f"{key} has no column {column}", f"name one of {', '.join(schema.names)}")
    kind = _content(schema.field(source.image_column).type)
    if not _is_bytes(kind) and not (source.raw_shape and kind == pa.uint8()):
        problem = f"column {source.image_column} of {key} holds {schema.field(source.image_column).type}"
        raise DataError(
            "data.source.image_column", problem, "name a column of bytes, or of uint8 lists together with data.source.raw_shape"
        )
    if source.label_column and not _is_class(schema.field(source.label_column).type):
        problem = f"column {source.label_column} of {key} holds {schema.field(source.label_column).type}"
        raise DataError("data.source.label_column", problem, "name a column of integers or text")


def _content(kind: pa.DataType) -> pa.DataType:
    """Return the type below a column's structs (their `bytes`), lists and extension types."""
    if isinstance(kind, pa.BaseExtensionType):
        return _content(kind.storage_type)
    if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
        return _content(kind.field("bytes").type)
    return _content(kind.value_type) if _is_list(kind) else kind


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind))


def _is_class(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_integer(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _class_values(store: ObjectStore, keys: list[str], column: str) -> pa.Array:
    """Return the distinct values of the label column, sorted: a class's number is its index among them."""
    with ThreadPoolExecutor(FOOTER_THREADS) as threads:
        found = [values for values in threads.map(lambda key: _distinct(store, key, column), keys) if len(values)]
    values = pa.concat_arrays(found).unique() if found else pa.array([], pa.string())
    if len(values) > MAX_CLASSES:
        problem = f"column {column} has {len(values):,} different values"
        raise DataError("data.source.label_column", problem, f"name a column of at most {MAX_CLASSES:,} classes")
    return values.take(pc.sort_indices(values))


def _distinct(store: ObjectStore, key: str, column: str) -> pa.Array:
    with _open_file(store, key) as file:
        batches = [batch.column(0) for batch in pq.ParquetFile(file).iter_batches(columns=[column])]
    return _plain_classes(pa.chunked_array(batches)).unique().drop_null() if batches else pa.array([], pa.string())


def _plain_classes(column: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray | pa.Array:
    """Return integers as int64 and text as string, however the file encodes them."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    return column.cast(kind).cast(pa.int64() if pa.types.is_integer(kind) else pa.string())


def _read_groups(batch: pa.Table, store: ObjectStore, source: ParquetSource, values: pa.Array | None) -> Iterator[pa.Table]:
    """Read row groups as rows, a few at a time."""
    columns = [column for column in (source.image_column, source.label_column) if column]
    for row in batch.to_pylist():
        start = row["start"]
        with _open_file(store, row["file"]) as file:
            for rows in pq.ParquetFile(file).iter_batches(READ_ROWS, row_groups=[row["number"]], columns=columns):
                names = [f"{row['file']}#{start + index}" for index in range(rows.num_rows)]
                yield row_table(names, _to_bytes(rows[source.image_column]), _to_labels(rows, source.label_column, values))
                start += rows.num_rows


def _to_labels(rows: pa.RecordBatch, column: str | None, values: pa.Array | None) -> pa.Array:
    """Return class numbers; -1 where there are no labels, or a null one."""
    if column is None or values is None:
        return pa.array(np.full(rows.num_rows, UNLABELLED, np.int32))
    return pc.index_in(_plain_classes(rows[column]), value_set=values).fill_null(UNLABELLED).cast(pa.int32())


def _to_bytes(column: pa.Array) -> pa.Array:
    """Return an image column of any supported type as bytes, null where it is null."""
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    if pa.types.is_struct(column.type):
        column = pc.struct_field(column, "bytes")
    if _is_list(column.type):
        return pa.array([_flat_bytes(row.values) if row.is_valid else None for row in column], pa.large_binary())
    return column.cast(pa.large_binary())


def _flat_bytes(values: pa.Array) -> bytes:
    """Return the bytes of (nested) lists of uint8."""
    while _is_list(values.type):
        values = values.flatten()
    data: bytes = values.fill_null(0).to_numpy(zero_copy_only=False).tobytes()
    return data
