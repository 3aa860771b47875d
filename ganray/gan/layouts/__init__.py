"""Layouts: how stored samples become what networks see, and a generator's outputs stored samples again; a file a kind of array."""

from typing import Protocol

from torch import Tensor

from ganray.gan.layouts.one_hot import OneHotLayout
from ganray.gan.layouts.pixels import PixelLayout, from_pixels, to_pixels
from ganray.gan.layouts.table import TableLayout
from ganray.gan.layouts.waves import WaveLayout
from ganray.modalities.codec import Codec
from ganray.modalities.sound.codec import WaveCodec
from ganray.modalities.table.encoding import Encoding, encoding_of
from ganray.modalities.text import TextCodec

__all__ = ["Layout", "OneHotLayout", "PixelLayout", "TableLayout", "encoding_in", "from_pixels", "layout_of", "to_pixels"]


class Layout(Protocol):
    """Two functions on any device, neither of which waits for it. Frozen values, equal for samples of one kind and shape."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of a sample as networks see it."""

    def from_samples(self, samples: Tensor) -> Tensor:
        """Return stored samples [N, ...] as float32 [N, *shape]."""

    def to_samples(self, outputs: Tensor) -> Tensor:
        """Return a generator's outputs [N, *shape] as stored samples [N, ...] of the codec's shape and type."""


def layout_of(codec: Codec) -> Layout:
    """Return the layout of a codec's samples."""
    if isinstance(codec, TextCodec):
        return OneHotLayout(codec.num_tokens, codec.length)
    if codec.kind == "table":
        from ganray.modalities.table.codec import TableCodec  # which needs pyarrow, as commands for other kinds do not

        assert isinstance(codec, TableCodec)
        return TableLayout(encoding_of(codec.columns))
    return WaveLayout(codec.shape) if isinstance(codec, WaveCodec) else PixelLayout(codec.shape)


def encoding_in(layout: Layout) -> Encoding | None:
    """Return where a table's columns lie among inputs, which its networks are built by; None of other kinds."""
    return layout.encoding if isinstance(layout, TableLayout) else None
