"""Resizing images with transparency: colours are weighted by alpha, and those that nobody sees continue what is seen."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Plane = NDArray[np.float32]  # [H, W] or [H, W, 3], 0 to 1
MIN_ALPHA = 4 / 255  # below it, resized colours are what rounding and the filter's ringing leave


def resize_rgba(image: Image.Image, size: tuple[int, int], filter: Image.Resampling) -> Image.Image:
    """Resize an RGBA image to (width, height) by premultiplied colours, in floating point; one of that size keeps what is seen of it."""
    pixels = np.asarray(image)
    if image.size == size and pixels[..., 3].all():
        return image
    *rgb, alpha = np.moveaxis(pixels.astype(np.float32) / np.float32(255), 2, 0)
    if image.size == size:
        colours = _extended(np.dstack(rgb) * alpha[..., None], alpha)
        return Image.fromarray(np.where(alpha[..., None] > 0, pixels, _eight_bits(np.dstack([colours, alpha]))))
    if alpha.min() == 1:
        return image.resize(size, filter)
    resized = _resized(alpha, size, filter).clip(0)  # a filter may overshoot, both alpha and colours
    premultiplied = _resized(np.dstack(rgb) * alpha[..., None], size, filter) * (resized > 0)[..., None]
    colours = _extended(premultiplied, resized)
    return Image.fromarray(_eight_bits(np.dstack([colours, resized])))


def _eight_bits(plane: Plane) -> NDArray[np.uint8]:
    return (plane.clip(0, 1) * 255).round().astype(np.uint8)


def _extended(premultiplied: Plane, alpha: Plane) -> Plane:
    """Return colours whose alpha is at least `MIN_ALPHA` as they are, and the others as the nearest of them, smoothly: push and pull.

    Each level of a pyramid fills what is transparent from the next, which has half the side.
    """
    height, width = alpha.shape
    seen = (alpha >= (0 if height == width == 1 else MIN_ALPHA)) & (alpha > 0)
    colours: Plane = np.divide(premultiplied, alpha[..., None], out=np.zeros_like(premultiplied), where=seen[..., None])
    if seen.all() or height == width == 1:
        return colours
    half = ((width + 1) // 2, (height + 1) // 2)
    coarse = _extended(_resized(premultiplied, half, Image.Resampling.BOX), _resized(alpha, half, Image.Resampling.BOX))
    return np.where(seen[..., None], colours, _resized(coarse, (width, height), Image.Resampling.BILINEAR))


def _resized(plane: Plane, size: tuple[int, int], filter: Image.Resampling) -> Plane:
    """Resize a plane, or each of three, in floating point."""
    if plane.ndim == 3:
        return np.dstack([_resized(np.ascontiguousarray(part), size, filter) for part in np.moveaxis(plane, 2, 0)])
    return np.asarray(Image.fromarray(plane).resize(size, filter), np.float32)
