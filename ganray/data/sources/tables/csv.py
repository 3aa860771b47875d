"""CSV files, local or on s3://: streamed, so that memory does not grow with them; every value is a text at first."""

import codecs
import csv
import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc

from ganray.config import CsvSource
from ganray.data.sources.rows import PATH_FIELD, Listing, Rows, SourceFiles, dataset_of, source_errors
from ganray.data.sources.tables.rows import TRAIN, Part, Split, broken_rows, check_names, parts_in, parts_of, raw_rows
from ganray.errors import DataError, plural
from ganray.storage import ObjectStore

HEAD_BYTES = 1 << 20
BLOCK_BYTES = 4 << 20  # a row is shorter
DELIMITERS = ",;\t|"
THREADS = 16
SUFFIX = ".csv"


@dataclass(frozen=True)
class CsvFiles:
    """Files of one form, and which of their rows are held out. Picklable."""

    store: ObjectStore
    source: CsvSource
    delimiter: str
    names: tuple[str, ...]
    split: Split

    @property
    def schema(self) -> pa.Schema:
        """The columns, as texts."""
        return pa.schema([(name, pa.string()) for name in self.names])

    def read(self, key: str) -> Iterator[tuple[pa.Table, list[tuple[int, str]]]]:
        """Yield the readable rows of a file, some at a time, and the lines before them that are no rows, with the reasons."""
        broken: list[tuple[int, str]] = []

        def skip(row: Any) -> str:
            broken.append((row.number or 0, f"has {row.actual_columns} values instead of {row.expected_columns}"))
            return "skip"

        try:
            with source_errors(), self.store.open(key) as file:
                for batch in self._reader(file, key, skip):
                    yield pa.Table.from_batches([batch]), broken[:]
                    broken.clear()
        except pa.ArrowInvalid as error:
            if "straddl" in str(error) and self._is_header_alone(key):
                return
            raise _unreadable(key, str(error), self.source.encoding) from None
        except UnicodeDecodeError as error:
            raise _unreadable(key, f"decode: {error}", self.source.encoding) from None
        yield self.schema.empty_table(), broken

    def _is_header_alone(self, key: str) -> bool:
        """Return whether a file is one line that does not end, which its reader takes for an error."""
        data = _beginning(self.store, key)
        return self.source.has_header and len(data) < HEAD_BYTES and not {*b"\r\n"} & {*data}

    def _reader(self, file: BinaryIO, key: str, skip: Any) -> pc.CSVStreamingReader:
        return pc.open_csv(
            pa.CompressedInputStream(file, "gzip") if key.endswith(".gz") else file,
            read_options=pc.ReadOptions(
                use_threads=False,  # which know no numbers of rows
                block_size=BLOCK_BYTES,
                column_names=list(self.names),
                skip_rows_after_names=int(self.source.has_header),
                encoding=self.source.encoding,
            ),
            parse_options=pc.ParseOptions(delimiter=self.delimiter, newlines_in_values=True, invalid_row_handler=skip),
            convert_options=pc.ConvertOptions(column_types=self.schema, strings_can_be_null=False),
        )


@source_errors()
def open_csv(source: CsvSource, files: SourceFiles) -> CsvFiles:
    """Read the headers of the CSV files of a source, one at least. Raises `DataError` if their columns differ."""
    keys = [info.key for info in files.infos]
    with ThreadPoolExecutor(THREADS) as threads:
        heads = list(threads.map(partial(_head, files.store, source), keys))
    delimiter, names = heads[0]
    if other := next((key for key, head in zip(keys, heads, strict=True) if head != heads[0]), None):
        raise DataError(PATH_FIELD, f"{other} has other columns than {keys[0]}", "name files of the same columns")
    return CsvFiles(files.store, source, delimiter, tuple(names), Split(0))


def list_csv(source: CsvSource, holdout: float, files: SourceFiles) -> Listing:
    """List the rows of the CSV files of a source, as `open_csv` finds them."""
    rows, keys = open_csv(source, files), [info.key for info in files.infos]
    identity: list[Any] = [files.store.uri, source.model_dump(mode="json"), [[i.key, i.size, str(i.modified)] for i in files.infos]]
    return Listing(files.name.removesuffix(SUFFIX), identity, partial(_open, rows, keys, holdout))


@source_errors()
def read_csv(path: str, files: SourceFiles) -> Iterator[tuple[pa.Table, int]]:
    """Yield the rows of the CSV files of a path in this process, some at a time, and how many lines before them are no rows.

    Raises `DataError` as `open_csv` does.
    """
    opened = open_csv(CsvSource(path=path), files)
    for info in files.infos:
        for rows, broken in opened.read(info.key):
            yield rows, len(broken)


def _head(store: ObjectStore, source: CsvSource, key: str) -> tuple[str, list[str]]:
    """Return a file's delimiter and the names of its columns."""
    text = _decode(_beginning(store, key), source.encoding, key)
    csv.field_size_limit(max(csv.field_size_limit(), HEAD_BYTES))
    delimiter = source.delimiter or sniff(text)
    first = next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    if not first:
        raise DataError(PATH_FIELD, f"the first line of {key} is empty", "remove it")
    if source.names is None:
        return delimiter, check_names(first, f"{PATH_FIELD} ({key})", remedy="name all columns by data.source.names, with header: true")
    if len(source.names) != len(first):
        problem = f"expected as many as the columns of {key}, {len(first)}, got {len(source.names)}"
        raise DataError("data.source.names", problem, "name each column, or leave it out where the first line does")
    return delimiter, check_names(list(source.names), "data.source.names", remedy="give each column a name of its own")


def _beginning(store: ObjectStore, key: str) -> bytes:
    with store.open(key) as file:
        data: bytes = (pa.CompressedInputStream(file, "gzip") if key.endswith(".gz") else file).read(HEAD_BYTES)
        return data


def _decode(data: bytes, encoding: str, key: str) -> str:
    """Return the beginning of a file as text, of which the last character may be cut. Raises `DataError` if it is none."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) and not encoding.lower().startswith("utf-16"):
        raise DataError("data.source.encoding", f"{key} is in utf-16", "use utf-16")
    try:
        text = codecs.getincrementaldecoder("utf-8-sig" if encoding == "utf-8" else encoding)().decode(data)
    except LookupError:
        raise DataError("data.source.encoding", f"there is no encoding {encoding}", "use utf-8, latin-1 or cp1252") from None
    except UnicodeDecodeError:
        if b"\0" not in data:
            raise _unreadable(key, "decode", encoding) from None
        text = "\0"
    if "\0" in text or not text.strip():
        what = "is empty" if not text.strip() else "is no text"
        raise DataError(PATH_FIELD, f"{key} {what}", "name CSV files; Parquet files have data.source.kind=parquet")
    return text


def sniff(text: str) -> str:
    """Return the delimiter that most lines of a text have equally often, outside of quotes; a comma if none is found."""
    lines = text.splitlines()[:50]
    lines = lines[:-1] or lines

    def agreement(delimiter: str) -> tuple[int, int]:
        widths = [len(row) for row in csv.reader(lines, delimiter=delimiter) if row]
        common = max(set(widths), key=widths.count) if widths else 1
        return (widths.count(common) if common > 1 else 0), common

    return max(DELIMITERS, key=agreement)


def _open(files: CsvFiles, keys: list[str], holdout: float) -> Rows:
    """Count the rows of the files, in Ray tasks, and open them."""
    import ray  # here, so that listing a source needs no Ray

    from ganray.cluster.errors import results_of

    counts = results_of([ray.remote(num_cpus=1)(_count).remote(files, key) for key in keys], "counting rows")
    readable = sum(count.readable for count in counts)
    if not readable:
        raise _no_rows(files, [f"{key}, {count.first}" for key, count in zip(keys, counts, strict=True) if count.first])
    split = Split.of(readable, holdout)
    starts = np.cumsum([0, *(count.readable for count in counts)])[:-1].tolist()
    parts = parts_of([(key, 0, start) for key, start in zip(keys, starts, strict=True)], split)
    pieces = [pa.table({name: [value] for name, value in vars(part).items()}) for part in parts]
    read = partial(_read_parts, files=replace(files, split=split))
    dataset = dataset_of(pieces).map_batches(read, batch_size=None, batch_format="pyarrow")
    total = readable + sum(count.broken for count in counts)
    return Rows(dataset, total, is_small=True, num_held_out=split.num_held_out(readable))


@dataclass(frozen=True)
class LineCount:
    """How many rows a file has, how many lines are none, and the first of these with the reason, "" if there is none."""

    readable: int
    broken: int
    first: str


def _no_rows(files: CsvFiles, named: list[str]) -> DataError:
    """Return the error for files without a readable row, by lines that are none."""
    if not named:
        return DataError(PATH_FIELD, f"{files.source.path} has no rows", "name a table that has")
    problem = f"{files.source.path} has no rows of {plural(len(files.names), 'value')}, as many as the first line: {named[0]}"
    return DataError(PATH_FIELD, problem, "repair the file, or set data.source.delimiter, or names where the first line has none")


def _count(files: CsvFiles, key: str) -> LineCount:
    readable, unreadable, first = 0, 0, ""
    for rows, broken in files.read(key):
        readable, unreadable = readable + rows.num_rows, unreadable + len(broken)
        first = first or next((f"line {number} {reason}" for number, reason in broken), "")
    return LineCount(readable, unreadable, first)


def _read_parts(batch: pa.Table, files: CsvFiles) -> Iterator[pa.Table]:
    for part in parts_in(batch):
        yield from _read_part(part, files)


def _read_part(part: Part, files: CsvFiles) -> Iterator[pa.Table]:
    start = part.start
    for rows, broken in files.read(part.file):
        if broken and part.kind == TRAIN:
            yield broken_rows(files.schema, part.file, broken)
        chosen, numbers = files.split.select(rows, start, part.kind)
        if len(numbers):
            yield raw_rows(chosen, part.file, numbers)
        start += rows.num_rows


def _unreadable(key: str, text: str, encoding: str) -> DataError:
    """Return the error for a file that is no CSV, by what its reader said."""
    if "UTF8" in text or "decode" in text:
        return DataError("data.source.encoding", f"{key} is not in {encoding}", "set it to the file's, such as latin-1 or cp1252")
    if "straddl" in text:
        problem = f"{key} has a row of more than {BLOCK_BYTES >> 20} MB, or a quote that is never closed"
        return DataError(PATH_FIELD, problem, "repair the file")
    return DataError(PATH_FIELD, f"{key} is no CSV file ({text.splitlines()[0][:100]})", "repair or remove it")
