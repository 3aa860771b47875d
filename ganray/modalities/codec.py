"""The codec protocol: how raw samples of a kind become arrays of one shape and type, once, in preparation, and how they are looked at.

A codec is a frozen, picklable value. Its JSON form is all that it takes to decode: it lies in the dataset's card and in a published
version's config. A kind whose codec depends on the data has a `Fitting`, which sees all samples once before they are encoded.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[Any]  # [N, *shape] of a codec's dtype
NUM_PREVIEWED = 16  # samples of a sheet or an animation


class UnreadableSample(Exception):
    """Raw data that cannot be encoded; the text gives the reason."""


@dataclass(frozen=True)
class Encoded:
    """A batch of encoded samples: the bytes of each array, None for one that is unreadable, and the reason then.

    `peaks` are the highest values of images with more than 8 bits, None for others.
    """

    samples: list[bytes | None]
    reasons: list[str | None]
    peaks: list[int | None]


class Codec(Protocol):
    """What every kind of sample has. `dtype` is NumPy's name: uint8, uint16, int16 or float32; `shape` may have any rank."""

    @property
    def kind(self) -> str:
        """The kind, as `data.modality` names it."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one stored sample."""

    @property
    def dtype(self) -> str:
        """The type of a stored sample's numbers."""

    @property
    def noun(self) -> str:
        """What samples are, in the plural, as a model card says: "32 x 32 grey images"."""

    def encode_batch(self, data: Any) -> Encoded:
        """Return the samples in a batch of a source's `data`, an Arrow array: bytes, or for tables a struct of columns."""

    def preview(self, samples: Samples, texts: Mapping[str, str] | None = None) -> bytes:
        """Return a PNG file in which people see what samples [N, ...], N > 0, are like, with `texts` by their keywords."""

    def to_json(self) -> dict[str, Any]:
        """Return all that it takes to decode, as JSON data with the `kind`."""


Preview = Callable[[Codec, Samples], bytes]  # makes a file that shows samples [N, ...], N > 0


class Fitting(Protocol):
    """How a codec is fitted to data: batches are summarised in parallel, and the summaries merged in order, in bounded memory."""

    def observe(self, data: Any) -> Any:
        """Return a small, picklable summary of a batch of a source's readable `data`, as in `Codec.encode_batch`."""

    def codec(self, summaries: Iterable[Any]) -> Codec:
        """Return the codec of all summaries, in the order of the data. Raises `DataError` for data that is of another kind."""


def encode_each(encode: Callable[[Any], NDArray[Any]], data: Sequence[Any]) -> Encoded:
    """Return what `encode` makes of each raw sample, one at a time; None among them is a sample that is not there."""
    samples: list[bytes | None] = []
    reasons: list[str | None] = []
    for raw in data:
        try:
            if raw is None:
                raise UnreadableSample("there is nothing to read")
            samples.append(encode(raw).tobytes())
            reasons.append(None)
        except UnreadableSample as error:
            samples.append(None)
            reasons.append(str(error))
    return Encoded(samples, reasons, [None] * len(samples))


def sample_bytes(codec: Codec) -> int:
    """Return the bytes of one stored sample."""
    return int(np.prod(codec.shape)) * np.dtype(codec.dtype).itemsize


def by(shape: Sequence[int]) -> str:
    """Return a shape as messages have it: "3 x 32 x 32"."""
    return " x ".join(str(side) for side in shape)
