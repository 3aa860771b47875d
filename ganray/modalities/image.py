"""Pictures: decoding any file to fixed-shape uint8 pixels, encoding PNG, and laying out grids."""

import math
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps, PngImagePlugin

WHITE = 255
MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}  # Pillow's, by the number of channels
GRID_SIDE = 64  # pixels: smaller pictures are enlarged to about this side in a grid


class UnreadableImage(Exception):
    """Bytes that cannot be turned into a picture; the text says why."""


def decode(data: bytes, shape: tuple[int, int, int], filter: str) -> np.ndarray:
    """Decode a picture file of any size and mode to uint8 pixels of `shape` (channels, height, width).

    EXIF orientation is applied, transparency is kept where the target has an alpha channel (2 grey, 4 RGB) and else laid over
    white, deep grey is scaled to 8 bits, and of an animation the first
    frame counts. The centre is cropped to the target's aspect ratio and resized with antialiasing by `filter` ("lanczos",
    "bicubic", "bilinear" or "box"); a picture of the target's size keeps its pixels. Raises `UnreadableImage` for anything
    else: no picture, a truncated one, or one so large (over 179 million pixels) that it may be a decompression bomb.
    """
    try:
        with Image.open(BytesIO(data)) as picture:
            return _to_pixels(ImageOps.exif_transpose(picture), shape, filter)
    except Exception as error:  # Pillow's decoders raise nearly anything on broken files
        raise UnreadableImage(_reason(error)) from error


def resize(pixels: np.ndarray, shape: tuple[int, int, int], filter: str) -> np.ndarray:
    """Crop and resize raw uint8 pixels [H, W] or [H, W, C] (C: 1 grey, 2 with alpha, 3 RGB, 4 with alpha) as `decode` does.

    Returns uint8 [channels, height, width] as `shape` says.
    """
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    return _to_pixels(Image.fromarray(pixels), shape, filter)


def encode_png(image: np.ndarray, texts: Mapping[str, str] | None = None) -> bytes:
    """Encode uint8 pixels [C, H, W] (C: 1 grey, 2 with alpha, 3 RGB, 4 with alpha) as a PNG file that carries `texts` by their keywords."""
    return save_png(_to_picture(image), texts)


def save_png(picture: Image.Image, texts: Mapping[str, str] | None = None) -> bytes:
    """Return a picture as a PNG file that carries `texts` by their keywords, in iTXt chunks."""
    chunks, buffer = PngImagePlugin.PngInfo(), BytesIO()
    for key, text in (texts or {}).items():
        chunks.add_itxt(key, text)
    picture.save(buffer, format="PNG", pnginfo=chunks)
    return buffer.getvalue()


def read_png(path: Path) -> tuple[np.ndarray, dict[str, str]]:
    """Return a PNG file's pixels, uint8 [C, H, W], and its texts by their keywords. Raises `UnreadableImage`."""
    try:
        with Image.open(path, formats=["PNG"]) as picture:
            picture.load()
            return to_pixels(picture), {key: str(text) for key, text in picture.text.items()}
    except Exception as error:  # Pillow's decoders raise nearly anything on broken files
        raise UnreadableImage(_reason(error)) from error


def to_pixels(picture: Image.Image) -> np.ndarray:
    """Return a Pillow picture's pixels as uint8 [C, H, W]: grey as one channel, all else as RGB."""
    pixels = np.asarray(picture if picture.mode in ("L", "RGB") else picture.convert("RGB"))
    return pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def grid(images: np.ndarray, columns: int | None = None, padding: int = 2, scale: int | None = None) -> Image.Image:
    """Lay out uint8 images [N, C, H, W], N > 0, row by row on white.

    `columns` is near the square root of N by default. Every picture is enlarged by the whole number `scale`; by default to a
    side of about 64 pixels, so that small pictures can be looked at. `padding` is in pixels of the result.
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
    return _to_picture(canvas)


def _to_picture(image: np.ndarray) -> Image.Image:
    """uint8 [C, H, W] to a Pillow picture of mode L, LA, RGB or RGBA."""
    return Image.fromarray(image[0] if len(image) == 1 else np.ascontiguousarray(image.transpose(1, 2, 0)))


def _to_pixels(picture: Image.Image, shape: tuple[int, int, int], filter: str) -> np.ndarray:
    """Crop, flatten and resize a Pillow picture to uint8 [C, H, W]."""
    channels, height, width = shape
    picture = _crop(_eight_bits(picture), width / height)
    picture = picture.convert("RGBA") if channels in (2, 4) else _flatten(picture)
    if picture.size != (width, height):
        picture = picture.resize((width, height), Image.Resampling[filter.upper()])
    pixels = np.asarray(picture.convert(MODES[channels]))
    return np.ascontiguousarray(pixels.reshape(height, width, channels).transpose(2, 0, 1))


def _crop(picture: Image.Image, aspect: float) -> Image.Image:
    """Cut the centre of the aspect ratio (width over height) out of a picture."""
    width, height = picture.size
    crop_width = max(1, min(width, round(height * aspect)))
    crop_height = max(1, min(height, round(width / aspect)))
    left, top = (width - crop_width) // 2, (height - crop_height) // 2
    box = (left, top, left + crop_width, top + crop_height)
    return picture if box == (0, 0, width, height) else picture.crop(box)


def _eight_bits(picture: Image.Image) -> Image.Image:
    """Scale the deep grey modes (16-bit, 32-bit and float) to 8 bits; other modes have them already."""
    if not picture.mode.startswith(("I", "F")):
        return picture
    grey = np.asarray(picture).astype(np.float64)
    if not np.isfinite(grey).all():
        raise ValueError("grey values that are not finite")
    low, high = _grey_range(picture.mode, grey.min(), grey.max())
    return Image.fromarray(((grey - low) * (255 / (high - low))).round().astype(np.uint8))


def _grey_range(mode: str, low: float, high: float) -> tuple[float, float]:
    """The values that mean black and white in a deep grey picture whose own values go from `low` to `high`.

    Integers are 16-bit; floats span 0 to 1, 0 to 255 or 0 to 65535, whichever holds them. What fits none of these spans its own range.
    """
    for white in (1, 255, 65535) if mode == "F" else (65535,):
        if low >= 0 and high <= white:
            return 0, white
    return low, max(high, low + 1)


def _flatten(picture: Image.Image) -> Image.Image:
    """Turn an 8-bit picture of any mode into L or RGB, transparency laid over white."""
    if picture.has_transparency_data:
        layer = picture.convert("RGBA")
        paper = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(paper, layer).convert("RGB")
    if picture.mode == "LAB":
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(picture, lab, srgb, outputMode="RGB")
    return picture.convert("L" if picture.mode in ("1", "L") else "RGB")


def _reason(error: Exception) -> str:
    """One short line for the dataset card."""
    if isinstance(error, Image.UnidentifiedImageError):
        return "not a picture in a format that Pillow knows"
    return " ".join(str(error).split())[:200] or type(error).__name__
