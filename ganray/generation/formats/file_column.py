"""Parquet files of generated samples with a file in each row, read row by row: `index`, and a column of `bytes` and `path`."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ganray.config.fields import shortened
from ganray.errors import DataError, plural
from ganray.generation.formats.base import MAX_ROWS, NAME_WRITTEN, Content, Difference, Maker, read_metadata, reading
from ganray.generation.record import Record
from ganray.modalities.codec import Codec, Samples, UnreadableSample
from ganray.modalities.image import UnreadableImage
from ganray.storage.files import open_regular

if TYPE_CHECKING:
    import pyarrow as pa

MAX_NAMED = 5  # rows that an error names
BATCH = 64  # rows that are read together


@dataclass(frozen=True)
class FileColumn:
    """Parquet files whose column of this `name` has a file a sample. `read` returns what a file holds, `make` the like of samples.

    Rows are read and compared one by one, and only the chunk of samples that they are compared with is in memory.
    """

    name: str
    read: Callable[[bytes], Content]
    make: Maker
    unit: str
    tolerance: str
    max_samples: int = MAX_ROWS

    def texts(self, path: Path) -> Mapping[str, str]:
        """Return the metadata of a file's schema, the record among them. Raises `DataError`."""
        return read_metadata(path)

    def difference(self, path: Path, record: Record, chunks: Iterable[Samples], codec: Codec) -> Difference:
        """Return how far the rows of a file are from the samples in its record. Raises `DataError` for what cannot be read."""
        if problem := self._other_table(path, record.count):
            return Difference(None, self.unit, is_small=False, detail=problem)
        found = _Rows(self.unit)
        cells = self._cells(path)
        for number, sample in enumerate(sample for chunk in chunks for sample in chunk):
            index, data = next(cells)
            if index != (record.index or 0) + number:
                found.differ(number, f"has the index {(record.index or 0) + number}, not {index}")
                continue
            made = self.make(sample[None], codec, is_one=True)
            found.compare(number, self._content(path, number, data).difference(made))
        return found.difference()

    def _other_table(self, path: Path, count: int) -> str:
        """Return what columns or how many rows a file should have instead, as a message says it, nothing where they are right."""
        import pyarrow as pa  # takes a while to import
        import pyarrow.parquet as pq

        with reading(path), open_regular(path) as file:
            metadata = pq.read_metadata(file)
            found = metadata.schema.to_arrow_schema()
        expected = pa.schema([("index", pa.int64()), (self.name, pa.struct([("bytes", pa.binary()), ("path", pa.string())]))])
        if not found.equals(expected):
            return f"the columns {_described(expected)}, not {_described(found)}"
        return f"{plural(count, 'row')}, not {metadata.num_rows}" if metadata.num_rows != count else ""

    def _cells(self, path: Path) -> "Iterator[tuple[int | None, bytes | None]]":
        """Yield the index and the file of each row."""
        import pyarrow.parquet as pq

        with reading(path), open_regular(path) as file:
            for batch in pq.ParquetFile(file).iter_batches(BATCH):
                files = batch[self.name]
                yield from zip(batch["index"].to_pylist(), files.field("bytes").to_pylist(), strict=True)

    def _content(self, path: Path, number: int, data: bytes | None) -> Content:
        try:
            if data is None:
                raise UnreadableSample("there is nothing to read")
            return self.read(data)
        except (UnreadableSample, UnreadableImage) as error:
            raise DataError(str(path), f"the {self.name} in row {number + 1} cannot be read ({error})", NAME_WRITTEN) from None


@dataclass
class _Rows:
    """The differences of rows: the largest of them, and what is to be said of rows that are not the samples in the record."""

    unit: str
    largest: int = 0
    num_others: int = 0
    named: list[str] = field(default_factory=list)

    def compare(self, number: int, found: Difference) -> None:
        """Take the difference of a row."""
        if not found.is_small:
            self.differ(number, f"has {found.amount}")
        self.largest = max(self.largest, found.largest or 0)

    def differ(self, number: int, what: str) -> None:
        """Take a row that differs, and in what."""
        self.num_others += 1
        if len(self.named) < MAX_NAMED:
            self.named.append(f"row {number + 1} {what}")

    def difference(self) -> Difference:
        """Return the difference of all rows."""
        more = "; and so on" if self.num_others > MAX_NAMED else ""
        detail = f"{plural(self.num_others, 'other row')}: {'; '.join(self.named)}{more}" if self.num_others else ""
        return Difference(self.largest, self.unit, is_small=not self.num_others, detail=detail)


def _described(schema: "pa.Schema") -> str:
    return shortened(", ".join(f"{field.name} ({field.type})" for field in schema))
