"""Generated rows as CSV and Parquet files, with the names, types and formats of the data."""

import csv
import io
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TextIO, cast

import numpy as np

from ganray.config.modalities.table import MAX_COLUMNS
from ganray.generation.formats.base import MAX_ROWS, Difference, Format, read_beside, read_metadata, reading, write_beside
from ganray.generation.formats.image import PNG
from ganray.generation.formats.row_difference import TOLERANCE, row_difference
from ganray.generation.record import KEY, Record
from ganray.modalities.codec import Codec, Samples
from ganray.storage.files import atomic_write, open_regular

if TYPE_CHECKING:
    import pyarrow as pa

    from ganray.modalities.table.codec import TableCodec  # which needs pyarrow, as commands for other kinds do not

logger = logging.getLogger(__name__)
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what formulas begin with
BLOCK_BYTES = 64 << 20  # of a CSV file that are parsed at once; no row may be longer


@dataclass(frozen=True)
class _Lines:
    """Ends lines in a line feed; the writer, which quotes what its line ends have, quotes texts with carriage returns, too."""

    file: TextIO

    def write(self, line: str) -> int:
        """Write a line that ends in a carriage return and a line feed."""
        return self.file.write(line.removesuffix("\r\n") + "\n")


@dataclass(frozen=True)
class RowsReading:
    """Files of rows. `read` returns those of a file, and `make` the like of codes [N, columns]; of a CSV file, cells as texts."""

    read: Callable[[Path], "pa.Table"]
    make: Callable[[Samples, "TableCodec"], "pa.Table"]
    texts: Callable[[Path], Mapping[str, str]]
    unit: str = "row"
    tolerance: str = TOLERANCE
    max_samples: int = MAX_ROWS

    def difference(self, path: Path, record: Record, chunks: Iterable[Samples], codec: Codec) -> Difference:
        """Return how many rows of a file differ from those in its record. Raises `DataError` for a file that cannot be read."""
        rows, table = self.read(path), cast("TableCodec", codec)
        codes = np.concatenate(list(chunks))
        return row_difference(rows, self.make(codes, table), codes, table)


def write_csv(out: Path, chunks: Iterable[Samples], record: Record, codec: Codec) -> None:
    """Write a CSV file with a header, and its record beside it: readers of CSV would take a comment for a row."""
    table = cast("TableCodec", codec)
    if formulas := find_formulas(table):
        logger.warning("%s has texts of the data that spreadsheets run as formulas, such as %r; import them as text", out, formulas[0])
    with atomic_write(out) as file:
        _write_csv(file, chunks, table)
    write_beside(out, record)


def _write_csv(file: BinaryIO, chunks: Iterable[Samples], table: "TableCodec") -> None:
    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    writer = csv.writer(_Lines(text), lineterminator="\r\n")
    writer.writerow(table.names)
    for chunk in chunks:
        columns = [column.to_pylist() for column in table.texts(chunk).columns]
        writer.writerows(zip(*columns, strict=True))
    text.detach()  # or it would close the file


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
    with atomic_write(out) as file:
        _write_parquet(file, chunks, {KEY: record.to_json()}, cast("TableCodec", codec))


def _write_parquet(file: BinaryIO, chunks: Iterable[Samples], metadata: Mapping[str, str], table: "TableCodec") -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    writer: pq.ParquetWriter | None = None
    for chunk in chunks:
        rows = table.rows(chunk)
        writer = writer or pq.ParquetWriter(file, rows.schema.with_metadata(metadata), compression="zstd")
        writer.write_table(pa.table(rows.columns, schema=writer.schema))
    if writer:
        writer.close()


def read_csv(path: Path) -> "pa.Table":
    """Return the cells of a CSV file as texts. Raises `DataError`."""
    with reading(path), open_regular(path) as file:
        return _read_csv(file)


def read_parquet(path: Path) -> "pa.Table":
    """Return the rows of a Parquet file. Raises `DataError`."""
    with reading(path), open_regular(path) as file:
        return _read_parquet(file)


def as_csv(samples: Samples, codec: "TableCodec") -> "pa.Table":
    """Return samples [N, columns] as the cells of a CSV file."""
    file = io.BytesIO()
    _write_csv(file, [samples], codec)
    return _read_csv(io.BytesIO(file.getvalue()))


def as_parquet(samples: Samples, codec: "TableCodec") -> "pa.Table":
    """Return samples [N, columns] as the rows of a Parquet file."""
    file = io.BytesIO()
    _write_parquet(file, [samples], {}, codec)
    return _read_parquet(io.BytesIO(file.getvalue()))


def _read_csv(file: BinaryIO) -> "pa.Table":
    """Return the cells of a CSV file as texts. Raises `ValueError` for rows of different lengths, or too many."""
    import pyarrow as pa
    from pyarrow.csv import ConvertOptions, ParseOptions, ReadOptions, read_csv

    options = ReadOptions(autogenerate_column_names=True, block_size=BLOCK_BYTES)  # f0, f1 and so on
    texts = ConvertOptions(column_types={f"f{number}": pa.string() for number in range(MAX_COLUMNS)}, strings_can_be_null=False)
    parsing = ParseOptions(newlines_in_values=True, ignore_empty_lines=False)
    cells = read_csv(file, read_options=options, parse_options=parsing, convert_options=texts)
    names = [str(column[0].as_py()) for column in cells.columns]
    return pa.table([column[1:] for column in cells.columns], names=names)


def _read_parquet(file: BinaryIO) -> "pa.Table":
    """Return the rows of a Parquet file. Raises `ValueError` for too many."""
    import pyarrow.parquet as pq

    parquet = pq.ParquetFile(file)
    if parquet.metadata.num_rows > MAX_ROWS:
        raise ValueError(f"it has {parquet.metadata.num_rows} rows, more than {MAX_ROWS}")
    return parquet.read()


CSV = RowsReading(read_csv, as_csv, read_beside)
PARQUET = RowsReading(read_parquet, as_parquet, read_metadata)
FORMATS: Mapping[str, Format] = {".csv": Format(write_csv, CSV), ".parquet": Format(write_table, PARQUET), ".png": PNG}
