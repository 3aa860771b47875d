"""Text files as a source: every line once however files are cut, ends and marks of lines, and what is no text."""

import gzip
from pathlib import Path

import pytest

from ganray.config import Data, LinesSource
from ganray.data.sources import lines, list_source
from ganray.data.sources.lines import Piece, read_piece
from ganray.errors import DataError
from ganray.storage import open_store
from ganray.storage.base import ObjectStore

CONTENT = b"\xef\xbb\xbffirst\r\n\r\nsecond\n   \nK\xc3\xb6ln\nlast without an end"
TEXTS = [b"first", b"second", "Köln".encode(), b"last without an end"]


def data(path: Path, **settings: str) -> Data:
    return Data(modality="text", source=LinesSource(path=str(path), **settings))


def read(store: ObjectStore, key: str, *, size: int, piece: int) -> list[bytes]:
    """Return the lines of a file that is read in pieces."""
    pieces = [Piece(key, start, min(start + piece, size), -1) for start in range(0, size, piece)]
    return [line for each in pieces for table in read_piece(store, each) for line in table["data"].to_pylist()]


@pytest.mark.parametrize("piece", [*range(1, len(CONTENT) + 1), 1000])
def test_each_line_is_read_once_wherever_a_file_is_cut(tmp_path: Path, piece: int) -> None:
    (tmp_path / "a.txt").write_bytes(CONTENT)
    assert read(open_store(tmp_path), "a.txt", size=len(CONTENT), piece=piece) == TEXTS


def test_a_line_that_is_far_too_long_is_one_that_is_cut_and_the_next_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 10)
    content = b"x" * 95 + b"\nshort\n"
    (tmp_path / "a.txt").write_bytes(content)
    assert read(open_store(tmp_path), "a.txt", size=len(content), piece=1000) == [b"x" * 10, b"short"]


def test_a_file_that_vanishes_is_a_sample_that_cannot_be_read(tmp_path: Path) -> None:
    (table,) = read_piece(open_store(tmp_path), Piece("gone.txt", 0, 10, -1))
    assert (table["data"].to_pylist(), table["reason"].to_pylist()) == ([None], ["the file has vanished"])


def test_files_may_be_classes_and_a_listing_changes_with_them(tmp_path: Path) -> None:
    for name in ("fr", "de"):
        (tmp_path / f"{name}.txt").write_text("line\n")
    (tmp_path / "empty.txt").touch()
    plain, labelled = list_source(data(tmp_path)), list_source(data(tmp_path, labels="files"))
    assert (plain.classes, labelled.classes, labelled.is_labelled) == (None, ["de", "fr"], True)
    assert plain.identity != labelled.identity
    (tmp_path / "it.txt").write_text("line\n")
    assert list_source(data(tmp_path)).identity != plain.identity


@pytest.mark.parametrize(
    ("content", "looks"),
    [
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "an image"),
        (gzip.compress(b"text", mtime=0), "an archive"),
        ("text".encode("utf-16"), "text in UTF-16"),
        (b"ab\x00cd", "binary data"),
    ],
)
def test_what_is_no_text_is_one_line_that_says_what_it_looks_like(tmp_path: Path, content: bytes, looks: str) -> None:
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(DataError, match=rf"data\.source\.path: a\.txt is no text: it looks like {looks}"):
        list_source(data(tmp_path / "a.txt"))


def test_folders_without_lines_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").touch()
    missing = (tmp_path / "missing.txt", r"does not exist; name a \.txt file, or a folder")
    for path, problem in ((tmp_path, r"there are no \.txt files with lines"), missing):
        with pytest.raises(DataError, match=problem):
            list_source(data(path))
