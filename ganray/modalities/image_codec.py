"""The codec of images: uint8 [C, H, W] of any image file, or of raw pixels."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from ganray.modalities.codec import Encoded, Samples
from ganray.modalities.image import Target, UnreadableImage, decode, grid_png, resize


@dataclass(frozen=True)
class ImageCodec:
    """Makes images to `target`. `raw_shape` is (height, width, channels) of a source of raw pixels, None for encoded images."""

    target: Target
    raw_shape: tuple[int, ...] | None = None

    kind = "image"
    dtype = "uint8"

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width)."""
        return self.target.shape

    @property
    def noun(self) -> str:
        """Sides and colour."""
        channels, height, width = self.shape
        return f"{height} x {width} {'grey' if channels <= 2 else 'colour'} images"

    def encode_batch(self, data: Any) -> Encoded:
        """Decode each file's bytes, or resize raw pixels."""
        decoded = [self._encode(raw) for raw in data.to_pylist()]
        return Encoded(*(list(column) for column in zip(*decoded, strict=True))) if decoded else Encoded([], [], [])

    def preview(self, samples: Samples, texts: Mapping[str, str] | None = None) -> bytes:
        """Return a grid."""
        return grid_png(samples, texts)

    def to_json(self) -> dict[str, Any]:
        """Return the shape: pixels need nothing else to be decoded."""
        return {"kind": self.kind, "shape": list(self.shape)}

    @classmethod
    def of_shape(cls, shape: tuple[int, int, int]) -> Self:
        """Return the codec that decodes samples of a shape, however they were made to it."""
        return cls(Target(shape, "lanczos"))

    def _encode(self, raw: bytes | None) -> tuple[bytes | None, str | None, int | None]:
        """Return an image's pixels, or the reason why there are none, and the highest value of one with more than 8 bits."""
        if raw is None:
            return None, "there is nothing to read", None
        if self.raw_shape is None:
            try:
                pixels, peak = decode(raw, self.target)
            except UnreadableImage as error:
                return None, str(error), None
            return pixels.tobytes(), None, peak
        if len(raw) != np.prod(self.raw_shape):
            return None, f"has {len(raw)} bytes instead of {np.prod(self.raw_shape)}", None
        return resize(np.frombuffer(raw, np.uint8).reshape(self.raw_shape), self.target).tobytes(), None, None
