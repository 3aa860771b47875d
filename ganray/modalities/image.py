"""Images: decoding any file to fixed-shape uint8 pixels, encoding PNG with text chunks, and laying out grids."""

import math
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps, PngImagePlugin, UnidentifiedImageError

from ganray.storage.files import open_regular

WHITE = 255
MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}  # Pillow's, by the number of channels
GRID_SIDE = 64  # pixels: smaller images are enlarged to about this side in a grid

Pixels = NDArray[np.uint8]  # [C, H, W] unless said otherwise; C: 1 grey, 2 grey with alpha, 3 RGB, 4 RGB with alpha


class UnreadableImage(Exception):
    """Bytes that cannot be decoded to an image; the text gives the reason."""


def decode(data: bytes, shape: tuple[int, int, int], filter: str) -> Pixels:
    """Decode an image file of any size and mode to pixels of `shape` (channels, height, width).

    EXIF orientation is applied, transparency is kept where the target has an alpha channel and else composited over white,
    deep grey is scaled to 8 bits, and of an animation the first frame is taken. The centre is cropped to the target's aspect
    ratio and resized with antialiasing by `filter` ("lanczos", "bicubic", "bilinear" or "box"); an image of the target's size
    keeps its pixels. Raises `UnreadableImage` for anything else: no image, a truncated one, or one so large (over 179 million
    pixels) that it may be a decompression bomb.
    """
    try:
        with Image.open(BytesIO(data)) as image:
            return _fit(ImageOps.exif_transpose(image), shape, filter)
    except Exception as error:  # Pillow's decoders raise nearly anything on broken files
        raise UnreadableImage(_reason(error)) from error


def resize(pixels: Pixels, shape: tuple[int, int, int], filter: str) -> Pixels:
    """Crop and resize raw pixels, here [H, W] or [H, W, C], to `shape` (channels, height, width), as `decode` does."""
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    return _fit(Image.fromarray(pixels), shape, filter)


def encode_png(pixels: Pixels, texts: Mapping[str, str] | None = None) -> bytes:
    """Return pixels as a PNG file with `texts` by their keywords in iTXt chunks."""
    return _save_png(_to_pil(pixels), texts)


def grid_png(images: Pixels, texts: Mapping[str, str] | None = None) -> bytes:
    """Return images [N, C, H, W], N > 0, as the PNG file of their `grid`, with `texts` as in `encode_png`."""
    return _save_png(grid(images), texts)


def read_png(path: Path) -> tuple[Pixels, dict[str, str]]:
    """Return a PNG file's pixels, grey or RGB, and its texts by their keywords. Raises `UnreadableImage`; a pipe is not waited for."""
    try:
        with open_regular(path) as file, Image.open(file, formats=["PNG"]) as image:
            image.load()
            texts: Mapping[str, str] = getattr(image, "text", {})  # a PNG's alone
            return to_pixels(image), {key: str(text) for key, text in texts.items()}
    except Exception as error:  # Pillow's decoders raise nearly anything on broken files
        raise UnreadableImage(_reason(error)) from error


def to_pixels(image: Image.Image) -> Pixels:
    """Return a Pillow image's pixels: grey as one channel, any other mode as RGB."""
    pixels = np.asarray(image if image.mode in ("L", "RGB") else image.convert("RGB"))
    return pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def grid(images: Pixels, columns: int | None = None, padding: int = 2, scale: int | None = None) -> Image.Image:
    """Lay out images [N, C, H, W], N > 0, row by row on white.

    `columns` is near the square root of N by default. Every image is enlarged by the whole number `scale`, by default to a
    side of about 64 pixels, so that small images can be looked at. `padding` is in pixels of the result.
    """
    num, channels, height, width = images.shape
    columns = columns or math.ceil(math.sqrt(num))
    scale = scale or max(1, round(GRID_SIDE / max(height, width)))
    images = images.repeat(scale, axis=2).repeat(scale, axis=3)
    step_y, step_x = height * scale + padding, width * scale + padding
    rows = math.ceil(num / columns)
    canvas = np.full((channels, rows * step_y + padding, columns * step_x + padding), WHITE, np.uint8)
    for index, image in enumerate(images):
        top, left = padding + index // columns * step_y, padding + index % columns * step_x
        canvas[:, top : top + height * scale, left : left + width * scale] = image
    return _to_pil(canvas)


def _save_png(image: Image.Image, texts: Mapping[str, str] | None) -> bytes:
    chunks, buffer = PngImagePlugin.PngInfo(), BytesIO()
    for key, text in (texts or {}).items():
        chunks.add_itxt(key, text)
    image.save(buffer, format="PNG", pnginfo=chunks)
    return buffer.getvalue()


def _to_pil(pixels: Pixels) -> Image.Image:
    """Return pixels as a Pillow image of mode L, LA, RGB or RGBA."""
    return Image.fromarray(pixels[0] if len(pixels) == 1 else np.ascontiguousarray(pixels.transpose(1, 2, 0)))


def _fit(image: Image.Image, shape: tuple[int, int, int], filter: str) -> Pixels:
    """Crop, flatten and resize a Pillow image to pixels of `shape` (channels, height, width)."""
    channels, height, width = shape
    image = _crop(_eight_bits(image), width / height)
    image = image.convert("RGBA") if channels in (2, 4) else _flatten(image)
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling[filter.upper()])
    pixels = np.asarray(image.convert(MODES[channels]))
    return np.ascontiguousarray(pixels.reshape(height, width, channels).transpose(2, 0, 1))


def _crop(image: Image.Image, aspect: float) -> Image.Image:
    """Return the largest centred cut of an aspect ratio (width over height)."""
    width, height = image.size
    crop_width = max(1, min(width, round(height * aspect)))
    crop_height = max(1, min(height, round(width / aspect)))
    left, top = (width - crop_width) // 2, (height - crop_height) // 2
    box = (left, top, left + crop_width, top + crop_height)
    return image if box == (0, 0, width, height) else image.crop(box)


def _eight_bits(image: Image.Image) -> Image.Image:
    """Scale the deep grey modes (16-bit, 32-bit and float) to 8 bits; other modes have them already."""
    if not image.mode.startswith(("I", "F")):
        return image
    grey = np.asarray(image).astype(np.float64)
    if not np.isfinite(grey).all():
        raise ValueError("grey values that are not finite")
    low, high = _grey_range(image.mode, grey.min(), grey.max())
    return Image.fromarray(((grey - low) * (255 / (high - low))).round().astype(np.uint8))


def _grey_range(mode: str, low: float, high: float) -> tuple[float, float]:
    """Return the values of black and white of a deep grey image whose own values span `low` to `high`.

    Integers are 16-bit; floats span 0 to 1, 0 to 255 or 0 to 65535, whichever holds them. What fits none of these spans its own range.
    """
    for white in (1, 255, 65535) if mode == "F" else (65535,):
        if low >= 0 and high <= white:
            return 0, white
    return low, max(high, low + 1)


def _flatten(image: Image.Image) -> Image.Image:
    """Turn an 8-bit image of any mode into L or RGB, transparency composited over white."""
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, layer).convert("RGB")
    if image.mode == "LAB":
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        return cast(Image.Image, ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB"))  # None only for inPlace=True
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def _reason(error: Exception) -> str:
    """Return one short line for the dataset card."""
    if isinstance(error, UnidentifiedImageError):
        return "not an image in a format that Pillow knows"
    return " ".join(str(error).split())[:200] or type(error).__name__
