"""Image files of more than 8 bits a channel as images of 8 bits."""

from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps

Values = NDArray[Any]  # [H, W] or [H, W, C], integers of 16 bits or floats

FULL_DEPTH = 16  # bits
# Pillow keeps the high byte of 16-bit colours. Unpacked in the other order of bytes, the same file gives the low byte.
OTHER_ORDER = {f"{mode};16{order}": f"{mode};16{other}" for mode in ("RGB", "RGBA") for order, other in ("BL", "LB", "NB")}


def open_eight_bits(data: bytes, bit_depth: int) -> tuple[Image.Image, int | None]:
    """Decode an image file, upright, and scale it to 8 bits if it has more; return it and then its highest value, else None.

    Integers of more than 8 bits span 0 to 2^bit_depth - 1, where `bit_depth` is 1 to 16. Raises `ValueError` for larger ones, and
    whatever Pillow raises. Without a `bit_depth` below 16, the highest value of colours is known to 256 only.
    """
    with Image.open(BytesIO(data)) as image:
        raw_mode = _raw_mode(image)
        upright = ImageOps.exif_transpose(image)
    key = upright.info.get("transparency")  # of a PNG: the grey value or colour that is transparent, in 16 bits
    if upright.mode.startswith(("I", "F")):
        return _grey(upright, bit_depth, key)
    if ";16" not in raw_mode:
        return upright, None
    rows = np.asarray(upright).astype(np.uint16)
    high, num_colours = rows.reshape(*rows.shape[:2], -1), len(upright.mode.removesuffix("A"))
    if bit_depth == FULL_DEPTH and not isinstance(key, tuple):
        return upright, int(high[..., :num_colours].max()) << 8 | 0xFF
    if raw_mode not in OTHER_ORDER:
        raise ValueError(f"is stored as {raw_mode}, which data.bit_depth={bit_depth} cannot scale")
    values = high << 8 | np.asarray(_low_bytes(data, OTHER_ORDER[raw_mode]))
    colours, alpha = values[..., :num_colours], high[..., num_colours:].astype(np.uint8)
    if isinstance(key, tuple):
        colours, alpha = _without(colours, key)
    peak = int(colours.max())
    colours = (colours >> 8).astype(np.uint8) if bit_depth == FULL_DEPTH else _scaled(colours, 0, _white(peak, bit_depth))
    return Image.fromarray(np.dstack([colours, alpha])), peak


def _without(values: Values, key: int | tuple[int, ...]) -> tuple[Values, NDArray[np.uint8]]:
    """Return values [H, W, C] with 0 where they are a key, and the alpha that has them transparent there."""
    is_seen = (values != key).any(axis=2)
    return values * is_seen[..., None], np.where(is_seen, np.uint8(255), np.uint8(0))


def _raw_mode(image: ImageFile.ImageFile) -> str:
    """Return how an image that was opened, and not yet decoded, stores its pixels, "" if that is not known."""
    arguments = image.tile[0][3] if image.tile else ""
    return str(arguments[0] if isinstance(arguments, tuple) else arguments)


def _low_bytes(data: bytes, raw_mode: str) -> Image.Image:
    """Decode an image file by another raw mode than its own."""
    with Image.open(BytesIO(data)) as image:
        tiles = [(*tile[:3], (raw_mode, *tile[3][1:]) if isinstance(tile[3], tuple) else raw_mode) for tile in image.tile]
        image.tile = [ImageFile._Tile(*tile) for tile in tiles]
        return ImageOps.exif_transpose(image)


def _grey(image: Image.Image, bit_depth: int, key: object) -> tuple[Image.Image, int | None]:
    """Scale the deep grey modes (16-bit, 32-bit and float) to 8 bits; the value `key`, if it is one, is transparent."""
    grey = np.asarray(image).astype(np.float64)
    if not np.isfinite(grey).all():
        raise ValueError("grey values that are not finite")
    alpha = None
    if isinstance(key, int):
        seen, alpha = _without(grey[..., None], key)
        grey = seen[..., 0]
    low, high = _grey_range(image.mode, grey.min(), grey.max(), bit_depth)
    is_16_bit = image.mode != "F" and low == 0 and high == (1 << bit_depth) - 1
    scaled = _scaled(grey, low, high)
    return Image.fromarray(scaled if alpha is None else np.dstack([scaled, alpha])), int(grey.max()) if is_16_bit else None


def _grey_range(mode: str, low: float, high: float, bit_depth: int) -> tuple[float, float]:
    """Return the values of black and white of a deep grey image whose own values span `low` to `high`.

    Integers have `bit_depth` bits; floats span 0 to 1, 0 to 255 or 0 to 65535, whichever holds them. What fits none of these spans
    its own range.
    """
    if mode != "F" and low >= 0 and bit_depth < FULL_DEPTH:
        return 0, _white(int(high), bit_depth)
    for white in (1, 255, 65535) if mode == "F" else (65535,):
        if low >= 0 and high <= white:
            return 0, white
    return low, max(high, low + 1)


def _white(peak: int, bit_depth: int) -> int:
    """Return the value of white. Raises `ValueError` if an image has larger ones."""
    if peak >= 2**bit_depth:
        raise ValueError(f"has values up to {peak:,}, more than data.bit_depth={bit_depth} allows")
    return (1 << bit_depth) - 1


def _scaled(values: Values, low: float, high: float) -> NDArray[np.uint8]:
    return ((values - np.float64(low)) * (255 / (high - low))).round().astype(np.uint8)
