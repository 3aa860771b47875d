"""Generated rows as CSV and Parquet files, with the names, types and formats of the data."""

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, cast

from ganray.generation.record import KEY, Record
from ganray.modalities.codec import Codec, Samples
from ganray.storage.files import atomic_write

if TYPE_CHECKING:
    from ganray.modalities.table.codec import TableCodec  # which needs pyarrow, as commands for other kinds do not

RECORD_SUFFIX = ".provenance.json"  # of the file beside a CSV file, which has no place for a record


def write_csv(out: Path, chunks: Iterable[Samples], record: Record, codec: Codec) -> None:
    """Write a CSV file with a header, and its record beside it: readers of CSV would take a comment for a row."""
    table = cast("TableCodec", codec)
    with atomic_write(out) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(table.names)
        for chunk in chunks:
            columns = [column.to_pylist() for column in table.texts(chunk).columns]
            writer.writerows(zip(*columns, strict=True))
        text.detach()  # or it would close the file
    with atomic_write(out.with_name(out.name + RECORD_SUFFIX)) as file:
        file.write(f"{record.to_json()}\n".encode())


def write_table(out: Path, chunks: Iterable[Samples], record: Record, codec: Codec) -> None:
    """Write a Parquet file of the data's types, with the record in the schema's metadata."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = cast("TableCodec", codec)
    writer: pq.ParquetWriter | None = None
    with atomic_write(out) as file:
        for chunk in chunks:
            rows = table.rows(chunk)
            writer = writer or pq.ParquetWriter(file, rows.schema.with_metadata({KEY: record.to_json()}), compression="zstd")
            writer.write_table(pa.table(rows.columns, schema=writer.schema))
        if writer:
            writer.close()
