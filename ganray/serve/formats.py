"""Samples as the content of a file, in the formats that an answer can have: those of a kind of sample, and two of any."""

import io
from collections.abc import Mapping

import numpy as np

from ganray.errors import ConfigError, enumerated
from ganray.generation.formats import FORMATS
from ganray.generation.formats.base import Answer
from ganray.generation.formats.image import PNG_ANSWER
from ganray.generation.record import Record
from ganray.modalities.codec import Codec, Samples


def as_array(samples: Samples, record: Record, codec: Codec) -> bytes:
    """Return samples [N, ...] as an array of NumPy."""
    buffer = io.BytesIO()
    np.save(buffer, samples, allow_pickle=False)
    return buffer.getvalue()


OF_ANY: Mapping[str, Answer] = {"png": PNG_ANSWER, "npy": Answer("application/x-npy", as_array)}


def answers_of(kind: str) -> dict[str, Answer]:
    """Return how samples of a kind are answered by format, first that in which one is saved."""
    own = {suffix.removeprefix("."): format.answer for suffix, format in FORMATS[kind].items() if format.answer}
    return {**{name: answer for name, answer in own.items() if name not in OF_ANY}, **OF_ANY}


MEDIA_TYPES = {name: answer.media_type for answers in (OF_ANY, *map(answers_of, FORMATS)) for name, answer in answers.items()}  # by format


def check_format(format: str, codec: Codec) -> None:
    """Raise `ConfigError` for a format that samples of a codec do not have."""
    if format not in (known := answers_of(codec.kind)):
        raise ConfigError("format", f"{codec.noun} are not written as {format}", f"use {enumerated(list(known), last='or')}")


def encode(samples: Samples, format: str, record: Record, codec: Codec) -> bytes:
    """Return samples [N, ...] as a file of a format, with their record where it has a place for one."""
    return answers_of(codec.kind)[format].encode(samples, record, codec)
