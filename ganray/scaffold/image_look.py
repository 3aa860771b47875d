"""A look at one image: its size, colours, depth and transparency, and whether it can be decoded at all."""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from ganray.modalities.deep import FULL_DEPTH, open_eight_bits

THUMBNAIL = 16  # pixels a side
MAX_CHROMA = 8  # levels by which colours of a thumbnail may differ in an image that is grey
OPAQUE = 250  # alpha from which on nothing is seen through


@dataclass(frozen=True)
class Look:
    """What a look at an image found. `thumbnail` is grey, float32 [16, 16]; `peak` the highest value of one of more than 8 bits.

    `digest` is that of the file; `problem` is why it cannot be decoded, and then nothing else is known.
    """

    digest: bytes
    problem: str | None = None
    width: int = 0
    height: int = 0
    mode: str = ""
    is_grey: bool = False
    is_transparent: bool = False
    peak: int | None = None
    thumbnail: NDArray[np.float32] | None = None


def look_at(data: bytes | None, reason: str | None = None) -> Look:
    """Return a look at an image file, decoded whole; `data` is None where it could not be read, for a `reason`."""
    if data is None:
        return Look(b"", problem=reason or "there is nothing to read")
    digest = hashlib.sha256(data).digest()
    try:
        image, peak = open_eight_bits(data, FULL_DEPTH)
        colours = np.asarray(image.convert("RGB").resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)).astype(np.float32)
        is_transparent = image.has_transparency_data and int(np.asarray(image.convert("RGBA"))[..., 3].min()) < OPAQUE
    except Exception as error:  # Pillow's decoders raise nearly anything on broken files
        return Look(digest, problem=_reason(error))
    chroma = float(np.ptp(colours, axis=2).max())
    return Look(
        digest=digest,
        width=image.width,
        height=image.height,
        mode=image.mode,
        is_grey=chroma <= MAX_CHROMA,
        is_transparent=is_transparent,
        peak=peak,
        thumbnail=colours.mean(2),
    )


def _reason(error: Exception) -> str:
    """Return why an image cannot be decoded, as one short line."""
    if isinstance(error, UnidentifiedImageError):
        return "not an image in a format that Pillow knows"
    return " ".join(str(error).split())[:200] or type(error).__name__
