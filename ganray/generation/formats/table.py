"""Generated rows as CSV and Parquet files, with the names, types and formats of the data."""

import csv
import io
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

from ganray.generation.formats.base import Format
from ganray.generation.formats.image import PNG
from ganray.generation.record import KEY, Record
from ganray.modalities.codec import Codec, Samples
from ganray.storage.files import atomic_write

if TYPE_CHECKING:
    from ganray.modalities.table.codec import TableCodec  # which needs pyarrow, as commands for other kinds do not

logger = logging.getLogger(__name__)
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what formulas begin with
RECORD_SUFFIX = ".provenance.json"  # of the file beside a CSV file, which has no place for a record


def write_csv(out: Path, chunks: Iterable[Samples], record: Record, codec: Codec) -> None:
    """Write a CSV file with a header, and its record beside it: readers of CSV would take a comment for a row."""
    table = cast("TableCodec", codec)
    if formulas := find_formulas(table):
        logger.warning("%s has texts of the data that spreadsheets run as formulas, such as %r; import them as text", out, formulas[0])
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


def find_formulas(codec: "TableCodec") -> list[str]:
    """Return the names and values of columns that a spreadsheet would take for formulas: they are written as the data has them."""
    texts = [*codec.names, *(value for column in codec.columns if column.type == "category" for value in column.values if value)]
    return [text for text in texts if text.startswith(FORMULA) and not is_number(text)]


def is_number(text: str) -> bool:
    """Return whether a text is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


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


FORMATS: Mapping[str, Format] = {".csv": Format(write_csv), ".parquet": Format(write_table), ".png": PNG}
