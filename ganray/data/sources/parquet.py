"""Parquet files with a column of images, encoded or raw, local or on s3://."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ganray.config import ParquetSource
from ganray.data.sources.parquet_columns import class_numbers, plain_classes
from ganray.data.sources.parquet_footer import DAMAGE, LABELS, REPLACE, THREADS, Footer, Group, open_parquet, read_footers, reason_of
from ganray.data.sources.parquet_samples import SampleColumn
from ganray.data.sources.rows import PATH_FIELD, UNLABELLED, Listing, Rows, SourceFiles, dataset_of, row_table, source_errors
from ganray.errors import DataError
from ganray.storage import MissingObject, ObjectStore, RefusedObject

SUFFIX = ".parquet"
READ_ROWS = 64
PIECE_BYTES = 32 * 2**20  # bytes of a row group, before compression, that one task decodes
PIECE_ROWS = 1024
MAX_CLASSES = 10_000
UNREADABLE = (*DAMAGE, RefusedObject, MissingObject)


@dataclass(frozen=True)
class ParquetRows:
    """The rows of Parquet files, and how they are read: row group by row group. Picklable; `numbers` are the classes' by their values."""

    store: ObjectStore
    source: ParquetSource
    samples: SampleColumn
    groups: list[Group]
    raw_shape: tuple[int, int, int] | None
    numbers: dict[int | str, int]
    classes: list[str] | None

    def read(self, group: Group) -> Iterator[pa.Table]:
        """Read a row group, a few rows at a time. Rows that cannot be read any more have no data, and the reason."""
        done, reason = 0, "the file has fewer rows than it says"
        try:
            with open_parquet(self.store, group.file) as parquet:
                # All labels first: a row group counts as damaged where classes are collected, too, if one of them cannot be read.
                labels = class_numbers(self._labels(parquet, group), self.numbers)
                for batch in parquet.iter_batches(READ_ROWS, row_groups=[group.number], columns=[self.samples.name]):
                    images = batch.column(0).slice(0, group.rows - done)
                    yield self._to_rows(images, labels.slice(done, len(images)), group, done)
                    done += len(images)
        except MissingObject:
            reason = "the file has vanished"
        except UNREADABLE as error:
            reason = f"the file is damaged: {reason_of(error)}"
        for start in range(done, group.rows, PIECE_ROWS):
            yield _broken_rows(group, start, min(start + PIECE_ROWS, group.rows), reason)

    def _labels(self, parquet: pq.ParquetFile, group: Group) -> pa.Array:
        return read_labels(parquet, self.source.label_column, group) if self.source.label_column else pa.nulls(group.rows, pa.int32())

    def _to_rows(self, images: pa.Array, labels: pa.Array, group: Group, start: int) -> pa.Table:
        data, reasons = self.samples.read(images, self.raw_shape, channels_first=group.channels_first)
        names = [_name(group, group.start + start + index) for index in range(len(data))]
        return row_table(names, data, labels, reasons)


@source_errors()
def list_parquet(source: ParquetSource, files: SourceFiles, samples: SampleColumn) -> Listing:
    """List the rows of the Parquet files of a source, one at least, whose footers are read.

    Raises `DataError` if they are not what the job says.
    """
    footers = read_footers(files.store, [info.key for info in files.infos], source, samples)
    settings: list[Any] = [samples.name, source.label_column, source.raw_shape]
    identity: list[Any] = [files.store.uri, settings, [[info.key, info.size, str(info.modified)] for info in files.infos]]
    if facts := _facts(footers, source):
        identity.append(facts)
    count, is_labelled = sum(group.rows for footer in footers for group in footer.groups), source.label_column is not None
    name = files.name.removesuffix(SUFFIX)
    return Listing(name, identity, partial(_open, files.store, source, samples, footers), count=count, is_labelled=is_labelled)


def _facts(footers: list[Footer], source: ParquetSource) -> dict[str, Any]:
    """Return what files state that decides what is read of them, beside their names, sizes and times; {} of most."""
    facts = {
        "layout": None if source.raw_layout == "auto" else source.raw_layout,
        "shapes": source.raw_shape is not None and any(footer.has_shapes for footer in footers),
        "generated": [footer.file for footer in footers if footer.generated_shape],
        "names": next((footer.names for footer in footers if footer.names), None),
    }
    return {name: fact for name, fact in facts.items() if fact}


def _open(store: ObjectStore, source: ParquetSource, samples: SampleColumn, footers: list[Footer]) -> Rows:
    rows = parquet_rows(store, source, samples, footers)
    pieces = [pa.table({key: [value] for key, value in vars(group).items()}) for group in rows.groups]
    read = dataset_of(pieces).map_batches(partial(_read_groups, rows=replace(rows, groups=[])), batch_size=None, batch_format="pyarrow")
    # A row group may be a whole file: cut it, so that its images are decoded in parallel.
    dataset = read.repartition(target_num_rows_per_block=_rows_per_task(rows.groups), strict=True)
    return Rows(dataset, sum(group.rows for group in rows.groups), raw_shape=rows.raw_shape, classes=rows.classes, is_small=samples.is_text)


def parquet_rows(store: ObjectStore, source: ParquetSource, samples: SampleColumn, footers: list[Footer]) -> ParquetRows:
    """Return how the rows of files are read, after a look at all labels. Raises `DataError` if they are not classes."""
    groups = [group for footer in footers for group in footer.groups if group.rows]
    shape = footers[0].generated_shape
    raw_shape = source.raw_shape or ((shape[1], shape[2], shape[0]) if shape else None)
    if source.label_column is None:
        return ParquetRows(store, source, samples, groups, raw_shape, {}, None)
    names = next((footer.names for footer in footers if footer.names), None)
    values = _class_values(store, groups, source.label_column, names)
    numbers = {value: number for number, value in enumerate(values)}
    classes = [names[value] if names and isinstance(value, int) else str(value) for value in values]
    return ParquetRows(store, source, samples, groups, raw_shape, numbers, classes)


def _class_values(store: ObjectStore, groups: list[Group], column: str, names: list[str] | None) -> list[Any]:
    """Return the distinct values of the label column, sorted: a class's number is its index among them."""
    with ThreadPoolExecutor(THREADS) as threads:
        found = list(threads.map(partial(_find_classes, store, column), groups))
    values: list[Any] = sorted({value for some in found if not isinstance(some, Exception) for value in some})
    if names is not None and values and isinstance(values[0], int):
        values = [value for value in values if value != UNLABELLED]  # the Hub's number for it
        if wrong := next((value for value in values if not 0 <= value < len(names)), None):
            raise DataError(LABELS, f"column {column} has class {wrong}, and its ClassLabel names {len(names)}", "repair the files")
    if len(values) > MAX_CLASSES:
        problem = f"column {column} has {len(values):,} different values"
        raise DataError(LABELS, problem, f"name a column of at most {MAX_CLASSES:,} classes")
    if not values:
        for group, error in zip(groups, found, strict=True):
            if isinstance(error, Exception):
                raise DataError(PATH_FIELD, f"{group.file} is damaged ({reason_of(error)})", REPLACE)
        raise DataError(LABELS, f"column {column} has no label in any row", "leave it out, or name another column")
    return values


def _find_classes(store: ObjectStore, column: str, group: Group) -> list[int | str] | Exception:
    """Return the different labels of a row group, or why they cannot be read."""
    try:
        with open_parquet(store, group.file) as parquet:
            return [value for value in read_labels(parquet, column, group).unique().to_pylist() if value is not None]
    except UNREADABLE as error:
        return error


def read_labels(parquet: pq.ParquetFile, column: str, group: Group) -> pa.Array:
    """Return the labels of a row group. Raises one of `DAMAGE`."""
    labels = parquet.read_row_group(group.number, columns=[column]).column(0)
    if len(labels) != group.rows:
        raise ValueError(f"{len(labels)} labels for {group.rows} rows")
    return plain_classes(labels)


def _rows_per_task(groups: list[Group]) -> int:
    bytes_per_row = max(group.num_bytes / group.rows for group in groups)
    return min(PIECE_ROWS, max(1, int(PIECE_BYTES / max(bytes_per_row, 1))))


def _read_groups(batch: pa.Table, rows: ParquetRows) -> Iterator[pa.Table]:
    """Read the row groups of a batch."""
    for group in batch.to_pylist():
        yield from rows.read(Group(**group))


def _broken_rows(group: Group, start: int, stop: int, reason: str) -> pa.Table:
    count = stop - start
    names = [_name(group, group.start + index) for index in range(start, stop)]
    return row_table(names, [None] * count, [UNLABELLED] * count, [reason] * count)


def _name(group: Group, row: int) -> str:
    return f"{group.file}#{row}"
