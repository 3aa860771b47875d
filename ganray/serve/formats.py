"""Samples as the content of a file, in the formats that an answer can have."""

import io

import numpy as np

from ganray.generation.record import Record
from ganray.modalities.codec import Codec, Samples
from ganray.modalities.image import encode_png

MEDIA_TYPES = {"png": "image/png", "npy": "application/x-npy"}  # by format


def encode(samples: Samples, format: str, record: Record, codec: Codec) -> bytes:
    """Return samples [N, ...] as an array of NumPy, or as an image with their record: one that is an image, or what the codec shows."""
    if format == "npy":
        buffer = io.BytesIO()
        np.save(buffer, samples, allow_pickle=False)
        return buffer.getvalue()
    if codec.kind == "image" and record.num is None:
        return encode_png(samples[0], record.texts())
    return codec.preview(samples, record.texts())
