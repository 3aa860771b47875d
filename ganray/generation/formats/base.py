"""What a format of generated samples is: how they are written, and how a file is read again and compared with its samples."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ganray.errors import DataError, plural
from ganray.generation.record import KEY, Record
from ganray.modalities.codec import Codec, Samples, UnreadableSample
from ganray.storage.base import RefusedObject
from ganray.storage.files import atomic_write, open_regular

MAX_SHEET_SAMPLES = 4096  # of a file that is made in memory as a whole
MAX_ROWS = 1_000_000  # of a file of lines or rows, which are all generated again
MAX_FILE_BYTES = 256 << 20
BESIDE = ".provenance.json"  # the suffix of the file with the record of one that has no place for it
NAME_WRITTEN = "name a file that `ganray generate` has written"

Writer = Callable[[Path, Iterable[Samples], Record, Codec], None]  # takes the record of all samples, as chunks


@dataclass(frozen=True)
class Difference:
    """The largest difference between two contents, None where they are of different sizes, its unit, and whether it is rounding alone.

    `detail` says more of it in a message. One that is not `is_telling` is near, and would be with other samples, too.
    """

    largest: int | None
    unit: str
    is_small: bool
    detail: str = ""
    is_telling: bool = True

    @property
    def problem(self) -> str:
        """What is wrong with a file whose difference is not small, as part of a message."""
        if not self.is_telling:
            return f"varies too little to be told from other samples: generated again, that has {self.amount}"
        return f"is not the sample in its record: generated again, that has {self.detail or self.amount}"

    @property
    def amount(self) -> str:
        """How large it is, as part of a message."""
        return "another size" if self.largest is None else f"differences of up to {plural(self.largest, self.unit)}"


class Content(Protocol):
    """What a file holds: pixels, a wave, lines, rows."""

    def difference(self, other: Any) -> Difference:
        """Return how far it is from other content, made of samples by the same `Reading`."""


class Maker(Protocol):
    """Makes of samples [N, ...] the content that their file has."""

    def __call__(self, samples: Samples, codec: Codec, *, is_one: bool) -> Content:
        """Return the content of the file of one sample, or of all of them."""


class Readable(Protocol):
    """How provenance reads a format's files, and how far they may be from samples that another machine generates."""

    @property
    def unit(self) -> str:
        """The unit of differences."""

    @property
    def tolerance(self) -> str:
        """Which differences are taken for rounding, in words."""

    @property
    def max_samples(self) -> int:
        """How many samples are generated again at most."""

    def texts(self, path: Path) -> Mapping[str, str]:
        """Return the texts of a file by their keywords, the record among them.

        Raises `UnreadableSample`, `UnreadableImage` or `DataError` for a file that is none.
        """

    def difference(self, path: Path, record: Record, chunks: Iterable[Samples], codec: Codec) -> Difference:
        """Return how far a file is from the samples in its record, which were generated again. Raises as `texts` does."""


@dataclass(frozen=True)
class Reading:
    """Files that are read as a whole.

    `read` returns a file's content and its texts by their keywords, the record among them, and raises `UnreadableSample`,
    `UnreadableImage` or `DataError`. `make` makes the like of samples. `read_record` reads only the texts, where files of several kinds
    have one suffix. The others are as in `Readable`.
    """

    read: Callable[[Path], tuple[Content, Mapping[str, str]]]
    make: Maker
    unit: str
    max_samples: int = MAX_SHEET_SAMPLES
    tolerance: str = "none"
    read_record: Callable[[Path], Mapping[str, str]] | None = None

    def texts(self, path: Path) -> Mapping[str, str]:
        """Return the texts of a file by their keywords, the record among them. Raises as `read` does."""
        return self.read_record(path) if self.read_record else self.read(path)[1]

    def difference(self, path: Path, record: Record, chunks: Iterable[Samples], codec: Codec) -> Difference:
        """Return how far a file is from the samples in its record, as `Readable` has it."""
        content = self.read(path)[0]
        return content.difference(self.make(np.concatenate(list(chunks)), codec, is_one=record.is_one))


@dataclass(frozen=True)
class Answer:
    """How a server answers in a format: `encode` makes a file of samples [N, ...], which has their record, if it has a place for one."""

    media_type: str
    encode: Callable[[Samples, Record, Codec], bytes]


@dataclass(frozen=True)
class Format:
    """A format of a kind's samples: `reading` is None where provenance does not read it, `is_sheet` tells files made as a whole.

    `answer` is None where servers do not answer in it.
    """

    write: Writer
    reading: Readable | None = None
    is_sheet: bool = False
    answer: Answer | None = None


def read_bytes(path: Path) -> bytes:
    """Return the content of a regular file, or its beginning. Raises `UnreadableSample`."""
    try:
        with open_regular(path) as file:
            return file.read(MAX_FILE_BYTES)
    except (OSError, RefusedObject) as error:
        raise UnreadableSample(" ".join(str(error).split())[:200]) from error


def beside(path: Path) -> Path:
    """Return the file that has the record of a file."""
    return path.with_name(path.name + BESIDE)


def write_beside(path: Path, record: Record) -> None:
    """Write the record of a file beside it."""
    with atomic_write(beside(path)) as file:
        file.write(f"{record.to_json()}\n".encode())


def read_beside(path: Path) -> Mapping[str, str]:
    """Return the record beside a file, by its keyword. Raises `DataError` for a file without one."""
    with reading(path), open_regular(beside(path)) as file:
        return {KEY: file.read(MAX_FILE_BYTES).decode()}


def read_metadata(path: Path) -> Mapping[str, str]:
    """Return the metadata of a Parquet file's schema. Raises `DataError` for another file."""
    import pyarrow.parquet as pq  # takes a while to import

    with reading(path), open_regular(path) as file:
        metadata = pq.read_schema(file).metadata or {}
    return {key.decode("utf-8", "replace"): value.decode("utf-8", "replace") for key, value in metadata.items()}


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Translate what is wrong with a file of lines or rows, or with the one beside it, into a `DataError`."""
    try:
        yield
    except FileNotFoundError as error:
        raise DataError(str(path), f"cannot be read: there is no {error.filename}", NAME_WRITTEN) from None
    except (OSError, RefusedObject, ValueError, LookupError, RuntimeError) as error:  # pyarrow's errors are of these
        raise DataError(str(path), f"cannot be read ({' '.join(str(error).split())[:150]})", NAME_WRITTEN) from None


def distances(left: NDArray[Any], right: NDArray[Any]) -> NDArray[np.int32]:
    """Return by how much the integers of two arrays of one shape differ."""
    distance: NDArray[np.int32] = np.abs(left.astype(np.int32) - right.astype(np.int32))
    return distance
