"""A look at a table in CSV or Parquet files, and a job for it with the recipe of `jobs/adult.yaml`."""

import csv
import io
from collections import Counter
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa

from ganray.config import CsvSource, ParquetSource
from ganray.config.modalities.table import TableModality
from ganray.data.sources.rows import SourceFiles, list_files
from ganray.data.sources.tables.csv import open_csv, sniff
from ganray.data.sources.tables.parquet import list_table
from ganray.errors import DataError, plural
from ganray.modalities.table.codec import TableCodec
from ganray.modalities.table.fitting import TableFitting
from ganray.scaffold.columns import opened
from ganray.scaffold.draft import Draft, Entry, Machine, run_entries, shipped
from ganray.storage import ObjectStore

JOB = "adult.yaml"
MAX_ROWS = 100_000  # that columns are found from, the first ones
MAX_COUNTED = 1_000_000  # rows of CSV files that are counted
HEAD_BYTES = 1 << 16
ENCODINGS = ("utf-8", "cp1252")  # that are tried
REPLACED = {
    "train.total_images": (None, "rows seen, repeats included; more is better"),
    "train.max_seconds": (None, "of training, if that is less; null: no limit"),
}


def draft_csv(path: str, store: ObjectStore, machine: Machine, *, name: str, storage: str) -> Draft:
    """Return a job for the rows of CSV files. Raises `DataError` for files without rows, or of different columns."""
    found = list_files(path, store, suffix=".csv")
    if not found.infos:
        raise DataError("PATH", f"there are no .csv files in {path}", "name a file, or a folder or s3:// prefix that holds some")
    for encoding in ENCODINGS:
        try:
            source, notes = _csv_source(path, found, encoding)
            rows, count = _read_csv(source, found)
            break
        except DataError as error:
            if error.field != "data.source.encoding" or encoding == ENCODINGS[-1]:
                raise
    return _draft(rows, count, source.model_dump(exclude_unset=True) | {"kind": "csv"}, notes, machine, name=name, storage=storage)


def draft_parquet_table(path: str, store: ObjectStore, machine: Machine, *, name: str, storage: str) -> Draft:
    """Return a job for the rows of Parquet files."""
    source = ParquetSource(path=path)
    found = list_files(path, store, suffix=".parquet")
    count = list_table(source, 0.0, found).count or 0
    parts, num_rows = list[pa.Table](), 0
    for info in found.infos:
        with opened(found.store, info.key) as parquet:
            for batch in parquet.iter_batches(4096):
                if num_rows < MAX_ROWS:
                    parts.append(pa.Table.from_batches([batch]))
                    num_rows += batch.num_rows
        if num_rows >= MAX_ROWS:
            break
    rows = pa.concat_tables(parts).replace_schema_metadata(None)
    return _draft(rows, count, {"kind": "parquet", "path": path}, [], machine, name=name, storage=storage)


def _csv_source(path: str, found: SourceFiles, encoding: str) -> tuple[CsvSource, list[str]]:
    """Return the source of CSV files, whose first line names the columns unless it has numbers, and what is to be known of it."""
    settings: dict[str, Any] = {} if encoding == ENCODINGS[0] else {"encoding": encoding}
    notes = [f"the files are not in UTF-8: they are taken to be in {encoding}"] if settings else []
    first = _first_line(found.store, found.infos[0].key, encoding)
    if any(map(_is_number, first)):
        settings["names"] = [f"column{number}" for number in range(1, len(first) + 1)]
        notes.append("the first line looks like values rather than names: give the columns names in data.source.names")
    return CsvSource(path=path, **settings), notes


def _first_line(store: ObjectStore, key: str, encoding: str) -> list[str]:
    """Return the values of the first line of a CSV file."""
    with store.open(key) as file:
        data = (pa.CompressedInputStream(file, "gzip") if PurePosixPath(key).suffix == ".gz" else file).read(HEAD_BYTES)
    text = data.decode(encoding, errors="ignore").removeprefix("\ufeff")
    return next(csv.reader(io.StringIO(text), delimiter=sniff(text)), [])


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _read_csv(source: CsvSource, found: SourceFiles) -> tuple[pa.Table, int]:
    """Return the first rows of CSV files, and how many there are, as far as they are counted."""
    files = open_csv(source, found)
    parts, count = [files.schema.empty_table()], 0
    for info in found.infos:
        for rows, _ in files.read(info.key):
            if count < MAX_ROWS:
                parts.append(rows)
            if (count := count + rows.num_rows) >= MAX_COUNTED:
                return pa.concat_tables(parts), count
    if not count:
        raise DataError("PATH", f"{source.path} has no rows", "name a table that has")
    return pa.concat_tables(parts), count


def _columns(codec: TableCodec) -> str:
    """Return which columns are learned, as far as a comment has room for it."""
    left_out = f", {codec.left_out[0].name[:40]} and others left out" if len(codec.left_out) > 1 else ""
    left_out = left_out or (f", {codec.left_out[0].name[:40]} left out" if codec.left_out else "")
    return f"{plural(len(codec.columns), 'column')}{left_out}; target is what classifiers predict from the others to score generated rows"


def _draft(rows: pa.Table, count: int, source: dict[str, Any], notes: list[str], machine: Machine, *, name: str, storage: str) -> Draft:
    codec = TableFitting(TableModality(), rows.num_rows).codec([rows])
    counted = f"{count:,} rows" if count < MAX_COUNTED else f"{count:,} rows or more"
    entries = [
        *run_entries(machine, name, storage),
        Entry("data.source", source, counted),
        Entry("data.modality", {"kind": "table", "target": codec.target}, _columns(codec)),
        *shipped(JOB, REPLACED),
        Entry("publish.model", name),
    ]
    facts = {
        "rows": counted,
        "columns": ", ".join(f"{name} {kind}" for name, kind in Counter(column.type for column in codec.columns).items()),
        **({"left out": ", ".join(f"{column.name} ({column.reason})" for column in codec.left_out)} if codec.left_out else {}),
        "target": codec.target,
    }
    return Draft(entries, facts, f"{rows.num_rows:,} of {counted}", notes)
