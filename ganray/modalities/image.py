"""Images: decoding any file to fixed-shape uint8 pixels, encoding PNG with text chunks, and laying out grids."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, PngImagePlugin, UnidentifiedImageError

from ganray.modalities.alpha import resize_rgba
from ganray.modalities.deep import FULL_DEPTH, open_eight_bits
from ganray.storage.files import open_regular

WHITE = 255
MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}  # Pillow's, by the number of channels
GRID_SIDE = 64  # pixels: smaller images are enlarged to about this side in a grid
PADDING = 2  # pixels between images of a grid

Pixels = NDArray[np.uint8]  # [C, H, W] unless said otherwise; C: 1 grey, 2 grey with alpha, 3 RGB, 4 RGB with alpha


class UnreadableImage(Exception):
    """Bytes that cannot be decoded to an image; the text gives the reason."""


@dataclass(frozen=True)
class Target:
    """What images are made to: pixels of `shape` (channels, height, width), resized by `filter`.

    `filter` is "lanczos", "bicubic", "bilinear" or "box", `background` the colour that transparency is laid on where there is no
    channel for it, and `bit_depth` the bits that integers of more than 8 bits use, 1 to 16.
    """

    shape: tuple[int, int, int]
    filter: str
    background: tuple[int, int, int] = (WHITE, WHITE, WHITE)
    bit_depth: int = FULL_DEPTH


def decode(data: bytes, target: Target) -> tuple[Pixels, int | None]:
    """Decode an image file of any size and mode; return its pixels, and the highest value of one with more than 8 bits, else None.

    EXIF orientation is applied, transparency is kept where the target has an alpha channel and else composited over its background,
    deep images are scaled to 8 bits, and of an animation the first frame is taken. The centre is cropped to the target's aspect
    ratio and resized with antialiasing, by premultiplied colours where transparency is kept; an image of the target's size keeps its
    pixels. A colour that nobody sees is not in the result: those that are seen go on there. Raises `UnreadableImage` for anything
    else: no image, a truncated one, or one so large (over 179 million pixels) that it may be a decompression bomb.
    """
    try:
        image, peak = open_eight_bits(data, target.bit_depth)
        return fit_image(image, target), peak
    except Exception as error:  # Pillow's decoders raise nearly anything on broken files
        raise UnreadableImage(_reason(error)) from error


def resize(pixels: Pixels, target: Target) -> Pixels:
    """Crop and resize raw pixels, here [H, W] or [H, W, C], as `decode` does."""
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    return fit_image(Image.fromarray(pixels), target)


def encode_png(pixels: Pixels, texts: Mapping[str, str] | None = None) -> bytes:
    """Return pixels as a PNG file with `texts` by their keywords in iTXt chunks."""
    return save_png(to_image(pixels), texts)


def grid_png(images: Pixels, texts: Mapping[str, str] | None = None, *, columns: int | None = None) -> bytes:
    """Return images [N, C, H, W], N > 0, as the PNG file of their `grid`, with `texts` as in `encode_png`."""
    return save_png(grid(images, columns), texts)


def split_grid(png: bytes, shape: tuple[int, int, int]) -> Pixels:
    """Return the images uint8 [N, C, H, W] of a `grid` with default padding and scale, white tiles at its end included."""
    channels, height, width = shape
    with Image.open(BytesIO(png)) as image:
        pixels = np.asarray(image).reshape(image.height, image.width, channels).transpose(2, 0, 1)
    scale = _scale(height, width)
    step_y, step_x = height * scale + PADDING, width * scale + PADDING
    rows, columns = pixels.shape[1] // step_y, pixels.shape[2] // step_x
    tiles = pixels[:, PADDING:, PADDING:].reshape(channels, rows, step_y, columns, step_x)
    inside = tiles[:, :, : height * scale : scale, :, : width * scale : scale]
    return np.ascontiguousarray(inside.transpose(1, 3, 0, 2, 4)).reshape(-1, *shape)


def read_png(path: Path) -> tuple[Pixels, dict[str, str]]:
    """Return a PNG file's pixels, as `to_pixels`, and its texts by their keywords. Raises `UnreadableImage`; a pipe is not waited for."""
    try:
        with open_regular(path) as file, Image.open(file, formats=["PNG"]) as image:
            image.load()
            texts: Mapping[str, str] = getattr(image, "text", {})  # a PNG's alone
            return to_pixels(image), {key: str(text) for key, text in texts.items()}
    except Exception as error:  # Pillow's decoders raise nearly anything on broken files
        raise UnreadableImage(_reason(error)) from error


def pixels_of(png: bytes) -> Pixels:
    """Return the pixels of a PNG file's bytes, as `to_pixels`. Raises `UnreadableImage`."""
    try:
        with Image.open(BytesIO(png), formats=["PNG"]) as image:
            return to_pixels(image)
    except Exception as error:  # as in `read_png`
        raise UnreadableImage(_reason(error)) from error


def to_pixels(image: Image.Image) -> Pixels:
    """Return a Pillow image's pixels [C, H, W]: grey or RGB, with or without transparency as the last channel; other modes as RGB."""
    pixels = np.asarray(image if image.mode in ("L", "LA", "RGB", "RGBA") else image.convert("RGB"))
    return pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def grid(images: Pixels, columns: int | None = None, padding: int = PADDING, scale: int | None = None) -> Image.Image:
    """Lay out images [N, C, H, W], N > 0, row by row on white.

    `columns` is near the square root of N by default. Every image is enlarged by the whole number `scale`, by default to a
    side of about 64 pixels, so that small images can be looked at. `padding` is in pixels of the result.
    """
    num, channels, height, width = images.shape
    columns = columns or math.ceil(math.sqrt(num))
    scale = scale or _scale(height, width)
    images = images.repeat(scale, axis=2).repeat(scale, axis=3)
    step_y, step_x = height * scale + padding, width * scale + padding
    rows = math.ceil(num / columns)
    canvas = np.full((channels, rows * step_y + padding, columns * step_x + padding), WHITE, np.uint8)
    for index, image in enumerate(images):
        top, left = padding + index // columns * step_y, padding + index % columns * step_x
        canvas[:, top : top + height * scale, left : left + width * scale] = image
    return to_image(canvas)


def _scale(height: int, width: int) -> int:
    """Return by how much the images of a grid are enlarged."""
    return max(1, round(GRID_SIDE / max(height, width)))


def save_png(image: Image.Image, texts: Mapping[str, str] | None = None) -> bytes:
    """Return a Pillow image as a PNG file with `texts` by their keywords in iTXt chunks."""
    chunks, buffer = PngImagePlugin.PngInfo(), BytesIO()
    for key, text in (texts or {}).items():
        chunks.add_itxt(key, text)
    image.save(buffer, format="PNG", pnginfo=chunks)
    return buffer.getvalue()


def to_image(pixels: Pixels) -> Image.Image:
    """Return pixels as a Pillow image of mode L, LA, RGB or RGBA."""
    return Image.fromarray(pixels[0] if len(pixels) == 1 else np.ascontiguousarray(pixels.transpose(1, 2, 0)))


def fit_image(image: Image.Image, target: Target) -> Pixels:
    """Crop, flatten and resize a Pillow image of 8 bits a channel."""
    channels, height, width = target.shape
    size, filter = (width, height), Image.Resampling[target.filter.upper()]
    image = _crop(image, width / height)
    if channels in (2, 4):
        image = resize_rgba(image.convert("RGBA"), size, filter)
    else:
        image = _flatten(image, target.background)
        image = image if image.size == size else image.resize(size, filter)
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


def _flatten(image: Image.Image, background: tuple[int, int, int]) -> Image.Image:
    """Turn an 8-bit image of any mode into L or RGB, transparency composited over a colour."""
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, background), layer).convert("RGB")
    if image.mode == "LAB":
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        return cast(Image.Image, ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB"))  # None only for inPlace=True
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def _reason(error: Exception) -> str:
    """Return one short line for the dataset card."""
    if isinstance(error, UnidentifiedImageError):
        return "not an image in a format that Pillow knows"
    return " ".join(str(error).split())[:200] or type(error).__name__
