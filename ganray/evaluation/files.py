"""Texts and rows of tables in files, read in this process to be scored: no generator made them here, or none at all."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from ganray.data.dataset import PreparedDataset
from ganray.data.sources.lines import SUFFIX as LINES
from ganray.data.sources.lines import read_lines
from ganray.data.sources.parquet_footer import DAMAGE, REPLACE, open_parquet, reason_of
from ganray.data.sources.rows import PATH_FIELD, SourceFiles, list_files
from ganray.data.sources.tables.csv import SUFFIX as CSV
from ganray.data.sources.tables.csv import read_csv
from ganray.errors import DataError, plural
from ganray.evaluation.samples import LabelledSamples, comparison, real_texts
from ganray.metrics.text import compare_texts
from ganray.modalities.codec import UnreadableSample
from ganray.modalities.table.codec import TableCodec
from ganray.modalities.text import TextCodec, read_text

PARQUET = ".parquet"
READ_ROWS = 4096
MIN_ROWS = 100  # of a table: fewer say nothing, as of those that are held out
FileScores = tuple[dict[str, float], int, int]  # scores by name, samples, and those that could not be read


def score_texts(path: str, dataset: PreparedDataset, codec: TextCodec) -> FileScores:
    """Score the lines of text files, or the texts of Parquet files, against a dataset of texts. Raises `DataError`."""
    files, suffix = find_files(path, LINES, PARQUET)
    raw = read_lines(files) if suffix == LINES else _column(files, str(dataset.card.source.get("column") or "text"))
    texts, skipped = list[str](), 0
    for line in raw:
        try:
            texts.append(read_text(line))
        except UnreadableSample:
            skipped += 1
    if not texts:
        raise DataError(PATH_FIELD, f"{path} has no texts", "name a file of one text a line")
    return compare_texts(real_texts(dataset, codec), texts), len(texts), skipped


def score_rows(path: str, dataset: PreparedDataset, codec: TableCodec) -> FileScores:
    """Score the rows of CSV or Parquet files against a dataset of rows, and against those held out of it. Raises `DataError`."""
    files, suffix = find_files(path, CSV, PARQUET)
    parts, skipped = list[Any](), 0
    for rows, broken in read_csv(path, files) if suffix == CSV else _tables(files, codec.names):
        parts.append(codec.encode(rows.select(_known(rows, codec, path))))
        skipped += broken
    codes = np.concatenate(parts) if parts else np.zeros((0, *codec.shape), codec.dtype)
    if len(codes) < MIN_ROWS:
        problem = f"{path} has {plural(len(codes), 'row')}, fewer than the {MIN_ROWS} that scores need"
        raise DataError(PATH_FIELD, problem, "name a file of more")
    scores = comparison(dataset)(LabelledSamples(codes, np.full(len(codes), -1)))
    return scores, len(codes), skipped


def find_files(path: str, *suffixes: str) -> tuple[SourceFiles, str]:
    """Return the files of a path, and the first suffix that there are any of. Raises `DataError` for a path with none."""
    for suffix in suffixes:
        found = list_files(path, None, suffix=suffix)
        infos = [info for info in found.infos if info.key.endswith(suffix)]
        if infos:
            return SourceFiles(found.store, found.name, infos), suffix
    known = " or ".join(suffixes)
    raise DataError(PATH_FIELD, f"there are no {known} files in {path}", f"name a {known} file, or a folder of them")


def _known(rows: pa.Table, codec: TableCodec, path: str) -> list[str]:
    """Return the names of a dataset's columns, which rows must have. Raises `DataError` for one that is missing."""
    if missing := [name for name in codec.names if name not in rows.column_names]:
        raise DataError(PATH_FIELD, f"{path} has no column {missing[0]}", f"name rows with the dataset's columns, such as {missing[0]}")
    return codec.names


def _column(files: SourceFiles, column: str) -> Iterator[bytes]:
    """Yield the texts of a column of Parquet files, as bytes."""
    for rows, _ in _tables(files, [column]):
        yield from (str(text).encode() for text in rows[column].to_pylist())


def _tables(files: SourceFiles, columns: list[str]) -> Iterator[tuple[pa.Table, int]]:
    """Yield the rows of Parquet files, some at a time, and how many of them are broken: none. Raises `DataError` for a damaged file."""
    for info in files.infos:
        try:
            with open_parquet(files.store, info.key) as parquet:
                if missing := [name for name in columns if name not in parquet.schema_arrow.names]:
                    raise DataError(PATH_FIELD, f"{info.key} has no column {missing[0]}", f"name files with the column {missing[0]}")
                for batch in parquet.iter_batches(READ_ROWS, columns=columns):
                    yield pa.Table.from_batches([batch]), 0
        except DAMAGE as error:
            raise DataError(PATH_FIELD, f"{info.key} is damaged ({reason_of(error)})", REPLACE) from None
