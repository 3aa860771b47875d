"""Text files of which each line is a sample, local or on s3://, read in pieces of bytes, so that memory stays flat."""

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import BinaryIO, cast

import pyarrow as pa

from ganray.config import LinesSource
from ganray.data.sources.rows import (
    PATH_FIELD,
    UNLABELLED,
    Listing,
    Rows,
    SourceFiles,
    dataset_of,
    no_files,
    row_table,
    source_errors,
)
from ganray.errors import DataError
from ganray.modalities.formats import HEAD_BYTES, starts_as_image
from ganray.storage import MissingObject, ObjectStore, RefusedObject

SUFFIX = ".txt"
PIECE_BYTES = 4 * 2**20  # of a file, that one task reads
BATCH_LINES = 4096
MAX_LINE_BYTES = 2**20 + 1  # one more than a text may have
THREADS = 16
BLOCK_BYTES = 2**20
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
LOST = "the file has vanished"


@dataclass(frozen=True)
class Piece:
    """The lines of a file that begin at bytes `start` to `stop - 1`, all of one class."""

    file: str
    start: int
    stop: int
    label: int


@source_errors()
def list_lines(source: LinesSource, files: SourceFiles) -> Listing:
    """List the lines of the text files of a source.

    With `labels: files`, the name of each file is the class of its lines. Raises `DataError` if there are none, or one is no text.
    """
    infos = [info for info in files.infos if info.size]
    if not infos:
        raise no_files(f"there are no {SUFFIX} files with lines in {source.path}", SUFFIX)
    _check_heads(files.store, [info.key for info in infos])
    by_file = source.labels == "files"
    classes = [PurePosixPath(info.key).stem for info in infos] if by_file else None
    identity = [files.store.uri, source.labels, [[info.key, info.size, str(info.modified)] for info in infos]]
    pieces = [
        Piece(info.key, start, min(start + PIECE_BYTES, info.size), number if by_file else UNLABELLED)
        for number, info in enumerate(infos)
        for start in range(0, info.size, PIECE_BYTES)
    ]
    opened = partial(_open, files.store, pieces, classes)
    return Listing(files.name.removesuffix(SUFFIX), identity, opened, classes=classes, is_labelled=by_file)


@source_errors()
def _check_heads(store: ObjectStore, keys: list[str]) -> None:
    """Raise `DataError` for a file whose first bytes are no text's."""
    with ThreadPoolExecutor(THREADS) as threads:
        for key, looks in zip(keys, threads.map(partial(_looks_like, store), keys), strict=True):
            if looks:
                raise DataError(PATH_FIELD, f"{key} is no text: it looks like {looks}", "name text files in UTF-8")


def _looks_like(store: ObjectStore, key: str) -> str | None:
    """Return what a file is by its first bytes, None for text."""
    try:
        with store.open(key) as file:
            head = file.read(HEAD_BYTES)
    except (MissingObject, RefusedObject) as error:
        return str(error)
    if starts_as_image(head):
        return "an image"
    if head.startswith((b"PK\x03\x04", b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"(\xb5/\xfd")):
        return "an archive, which is to be unpacked first"
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "text in UTF-16, which is to be saved as UTF-8"
    return "binary data" if b"\0" in head else None


@source_errors()
def read_lines(files: SourceFiles) -> Iterator[bytes]:
    """Yield the lines of text files in this process, without Ray. Raises `DataError` for a file that is no text."""
    _check_heads(files.store, [info.key for info in files.infos])
    for info in files.infos:
        for rows in read_piece(files.store, Piece(info.key, 0, info.size, UNLABELLED)):
            yield from (line for line in rows["data"].to_pylist() if line is not None)


def _open(store: ObjectStore, pieces: list[Piece], classes: list[str] | None) -> Rows:
    tables = [pa.table({name: [value] for name, value in vars(piece).items()}) for piece in pieces]
    dataset = dataset_of(tables).map_batches(partial(_read_pieces, store=store), batch_size=None, batch_format="pyarrow")
    with ThreadPoolExecutor(THREADS) as threads:
        count = sum(threads.map(partial(_count_lines, store), dict.fromkeys(piece.file for piece in pieces)))
    return Rows(dataset, count, classes=classes, is_small=True)


@source_errors()
def _count_lines(store: ObjectStore, key: str) -> int:
    """Return about how many lines a file has, empty ones included: what progress is shown by."""
    count = 1
    with store.open(key) as file:
        while block := file.read(BLOCK_BYTES):
            count += block.count(b"\n")
    return count


def _read_pieces(batch: pa.Table, store: ObjectStore) -> Iterator[pa.Table]:
    """Read the lines of pieces, some thousands at a time."""
    for row in batch.to_pylist():
        yield from read_piece(store, Piece(**row))


@source_errors()
def read_piece(store: ObjectStore, piece: Piece) -> Iterator[pa.Table]:
    """Read the lines that begin in a piece, without their ends; empty ones are no samples."""
    try:
        with store.open(piece.file) as raw, buffered(raw) as file:
            names: list[str] = []
            lines: list[bytes] = []
            for place, line in _lines(file, piece):
                names.append(f"{piece.file}@{place}")
                lines.append(line)
                if len(lines) == BATCH_LINES:
                    yield _rows(names, lines, piece)
                    names, lines = [], []
            yield _rows(names, lines, piece)
    except (MissingObject, RefusedObject):
        yield row_table([f"{piece.file}@{piece.start}"], [None], [piece.label], [LOST])


def buffered(raw: BinaryIO) -> BinaryIO:
    """Return a file that reads ahead, as lines need it where each read is a request."""
    return cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, raw), BLOCK_BYTES))


def _lines(file: BinaryIO, piece: Piece) -> Iterator[tuple[int, bytes]]:
    """Yield the place and content of each line that begins in a piece: one that began before it belongs to the piece before."""
    place = piece.start
    if place:
        file.seek(place - 1)
        place += len(file.readline()) - 1
    while place < piece.stop and (line := file.readline(MAX_LINE_BYTES)):
        content = line.rstrip(b"\r\n")
        if place == 0:
            content = content.removeprefix(BYTE_ORDER_MARK)
        if content.strip():
            yield place, content
        place += len(line)
        while line and not line.endswith(b"\n"):  # the rest of a line that is far too long
            line = file.readline(MAX_LINE_BYTES)
            place += len(line)


def _rows(names: list[str], lines: list[bytes], piece: Piece) -> pa.Table:
    return row_table(names, lines, [piece.label] * len(lines))
