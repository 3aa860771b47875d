"""Samples as the content of a file, in the formats that an answer can have, by the kind of sample."""

import io

import numpy as np

from ganray.errors import ConfigError, enumerated
from ganray.generation.formats.sound import sound_codec
from ganray.generation.record import XMP, Record
from ganray.modalities.codec import Codec, Samples
from ganray.modalities.image import encode_png
from ganray.modalities.sound.files import encode_sound, sheet

MEDIA_TYPES = {"png": "image/png", "npy": "application/x-npy", "wav": "audio/wav"}  # by format
FORMATS = {"sound": ("wav", "png", "npy")}  # by kind, what its samples are saved as first
OTHERS = ("png", "npy")  # of any other kind


def formats_of(codec: Codec) -> tuple[str, ...]:
    """Return the formats of a codec's samples, first that in which one is saved."""
    return FORMATS.get(codec.kind, OTHERS)


def check_format(format: str, codec: Codec) -> None:
    """Raise `ConfigError` for a format that samples of a codec do not have."""
    if format not in (known := formats_of(codec)):
        raise ConfigError("format", f"{codec.noun} are not written as {format}", f"use {enumerated(list(known), last='or')}")


def encode(samples: Samples, format: str, record: Record, codec: Codec) -> bytes:
    """Return samples [N, ...] as an array of NumPy; as an image, one that is one or what the codec shows; or as a sound, one or all.

    Images and sounds hold their record.
    """
    if format == "npy":
        buffer = io.BytesIO()
        np.save(buffer, samples, allow_pickle=False)
        return buffer.getvalue()
    if format == "wav":
        sounds = sound_codec(codec)
        waves, rate = sounds.waves(samples), sounds.clip.rate
        return encode_sound(waves[0] if record.num is None else sheet(waves, rate), rate, "wav", record.to_json(), XMP)
    if codec.kind == "image" and record.num is None:
        return encode_png(samples[0], record.texts())
    return codec.preview(samples, record.texts())
