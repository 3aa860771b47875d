"""Layouts: how stored samples become what networks see, and a generator's outputs stored samples again; a file a kind of array."""

from typing import Protocol

from torch import Tensor

from ganray.gan.layouts.one_hot import OneHotLayout
from ganray.gan.layouts.pixels import PixelLayout, from_pixels, to_pixels
from ganray.gan.layouts.waves import WaveLayout
from ganray.modalities.codec import Codec
from ganray.modalities.sound.codec import WaveCodec
from ganray.modalities.text import TextCodec

__all__ = ["Layout", "OneHotLayout", "PixelLayout", "from_pixels", "layout_of", "to_pixels"]


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
    return WaveLayout(codec.shape) if isinstance(codec, WaveCodec) else PixelLayout(codec.shape)
