"""What a format of generated samples is: how they are written, and how a file is read again and compared with its samples."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ganray.errors import plural
from ganray.generation.record import Record
from ganray.modalities.codec import Codec, Samples, UnreadableSample
from ganray.storage.files import open_regular

MAX_SHEET_SAMPLES = 4096  # of a file that is made in memory as a whole
MAX_FILE_BYTES = 256 << 20

Writer = Callable[[Path, Iterable[Samples], Record, Codec], None]  # takes the record of all samples, as chunks


@dataclass(frozen=True)
class Difference:
    """The largest difference between two contents, None where they are of different sizes, its unit, and whether it is rounding alone."""

    largest: int | None
    unit: str
    is_small: bool

    @property
    def found(self) -> str:
        """The difference as part of a message."""
        return "another size" if self.largest is None else f"differences of up to {plural(self.largest, self.unit)}"


class Content(Protocol):
    """What a file holds: pixels, a wave, lines."""

    def difference(self, other: Any) -> Difference:
        """Return how far it is from other content, made of samples by the same `Reading`."""


class Maker(Protocol):
    """Makes of samples [N, ...] the content that their file has."""

    def __call__(self, samples: Samples, codec: Codec, *, is_one: bool) -> Content:
        """Return the content of the file of one sample, or of all of them."""


@dataclass(frozen=True)
class Reading:
    """How provenance reads a format's files. `unit` is that of differences, `max_samples` how many are generated again at most.

    `read` returns a file's content and its texts by their keywords, the record among them, and raises `UnreadableSample`,
    `UnreadableImage` or `DataError`. `make` makes the like of samples.
    """

    read: Callable[[Path], tuple[Content, Mapping[str, str]]]
    make: Maker
    unit: str
    max_samples: int = MAX_SHEET_SAMPLES


@dataclass(frozen=True)
class Format:
    """A format of a kind's samples: `reading` is None where provenance does not read it, `is_sheet` tells files made as a whole."""

    write: Writer
    reading: Reading | None = None
    is_sheet: bool = False


def read_bytes(path: Path) -> bytes:
    """Return the content of a regular file, or its beginning. Raises `UnreadableSample`."""
    try:
        with open_regular(path) as file:
            return file.read(MAX_FILE_BYTES)
    except OSError as error:
        raise UnreadableSample(" ".join(str(error).split())[:200]) from error


def distances(left: NDArray[Any], right: NDArray[Any]) -> NDArray[np.int32]:
    """Return by how much the integers of two arrays of one shape differ."""
    distance: NDArray[np.int32] = np.abs(left.astype(np.int32) - right.astype(np.int32))
    return distance
