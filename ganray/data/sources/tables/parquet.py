"""Parquet files of rows, local or on s3://: every column of a type that a table can have, read row group by row group."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow as pa

from ganray.config import ParquetSource
from ganray.data.sources.parquet_footer import DAMAGE, REPLACE, THREADS, open_parquet, reason_of
from ganray.data.sources.rows import PATH_FIELD, Listing, Rows, SourceFiles, dataset_of, source_errors
from ganray.data.sources.tables.rows import Part, Split, check_names, parts_in, parts_of, raw_rows
from ganray.errors import DataError
from ganray.storage import ObjectStore

READ_ROWS = 4096
SUFFIX = ".parquet"
VIEWS = {pa.string_view(): pa.string(), pa.binary_view(): pa.binary()}  # of Polars, which few functions take


@dataclass(frozen=True)
class TableFiles:
    """Files of the same columns, and which of their rows are held out. Picklable."""

    store: ObjectStore
    schema: pa.Schema
    split: Split

    def read(self, part: Part) -> Iterator[pa.Table]:
        """Yield the rows of a part as raw samples, some at a time. Raises `DataError` for a file that is damaged."""
        start = part.start
        try:
            with open_parquet(self.store, part.file) as parquet:
                for batch in parquet.iter_batches(READ_ROWS, row_groups=[part.group], columns=self.schema.names):
                    rows = pa.Table.from_batches([batch]).cast(self.schema)
                    chosen, numbers = self.split.select(rows, start, part.kind)
                    if len(numbers):
                        yield raw_rows(chosen, part.file, numbers)
                    start += rows.num_rows
        except DAMAGE as error:
            raise _damaged(part.file, error) from None


@source_errors()
def list_table(source: ParquetSource, holdout: float, files: SourceFiles) -> Listing:
    """List the rows of the Parquet files of a source, one at least, whose footers are read.

    Raises `DataError` if there are no rows, or if the files' columns differ.
    """
    keys = [info.key for info in files.infos]
    with ThreadPoolExecutor(THREADS) as threads:
        footers = list(threads.map(partial(_footer, files.store), keys))
    schema = footers[0][0]
    if other := next((key for key, footer in zip(keys, footers, strict=True) if footer[0] != schema), None):
        raise DataError(PATH_FIELD, f"{other} has other columns, or types, than {keys[0]}", "name files of the same columns")
    check_names(schema.names, PATH_FIELD, remedy="name the columns when the files are written")
    counts = [(key, group, rows) for key, (_, groups) in zip(keys, footers, strict=True) for group, rows in enumerate(groups)]
    total = sum(rows for *_, rows in counts)
    if not total:
        raise DataError(PATH_FIELD, f"the Parquet files in {source.path} have no rows", "name files with rows")
    identity: list[Any] = [files.store.uri, [[info.key, info.size, str(info.modified)] for info in files.infos]]
    rows = TableFiles(files.store, schema, Split.of(total, holdout))
    return Listing(files.name.removesuffix(SUFFIX), identity, partial(_open, rows, counts), count=total)


def _footer(store: ObjectStore, key: str) -> tuple[pa.Schema, list[int]]:
    """Return the columns of a file, and the rows of its row groups."""
    try:
        with open_parquet(store, key) as parquet:
            groups = [parquet.metadata.row_group(number).num_rows for number in range(parquet.metadata.num_row_groups)]
            return pa.schema([field.with_type(VIEWS.get(field.type, field.type)) for field in parquet.schema_arrow]), groups
    except DAMAGE as error:
        raise _damaged(key, error) from None


def _open(files: TableFiles, counts: list[tuple[str, int, int]]) -> Rows:
    pieces, start = [], 0
    for key, group, rows in counts:
        pieces.append((key, group, start))
        start += rows
    tables = [pa.table({name: [value] for name, value in vars(part).items()}) for part in parts_of(pieces, files.split)]
    dataset = dataset_of(tables).map_batches(partial(_read_parts, files=files), batch_size=None, batch_format="pyarrow")
    return Rows(dataset, start, is_small=True, num_held_out=files.split.num_held_out(start))


def _read_parts(batch: pa.Table, files: TableFiles) -> Iterator[pa.Table]:
    for part in parts_in(batch):
        yield from files.read(part)


def _damaged(key: str, error: Exception) -> DataError:
    return DataError(PATH_FIELD, f"{key} is damaged ({reason_of(error)})", REPLACE)
