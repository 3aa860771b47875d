"""Decoding and encoding images, and laying them out in grids."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganray.modalities.image import UnreadableImage, decode, encode_png, grid, grid_png, read_png, resize

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def encoded(image: Image.Image, format: str = "PNG", **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def one_colour(pixels: np.ndarray) -> tuple[int, ...]:
    """The colour of pixels [C, H, W] that all have the same."""
    colours = np.unique(pixels.reshape(len(pixels), -1), axis=1)
    assert colours.shape[1] == 1
    return tuple(int(value) for value in colours[:, 0])


def test_a_image_of_the_targets_size_keeps_its_pixels() -> None:
    pixels = noise(16, 24)
    np.testing.assert_array_equal(decode(encoded(Image.fromarray(pixels)), (3, 16, 24), "lanczos"), pixels.transpose(2, 0, 1))


@pytest.mark.parametrize("format", ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF"])
def test_every_format_gives_the_same_colour_and_shape(format: str) -> None:
    pixels = decode(encoded(Image.new("RGB", (50, 40), (200, 100, 50)), format), (3, 16, 16), "lanczos")
    assert pixels.shape == (3, 16, 16)
    assert pixels.dtype == np.uint8
    np.testing.assert_allclose(pixels.reshape(3, -1).T, np.tile([200, 100, 50], (256, 1)), atol=3)


def test_the_centre_is_cropped_to_the_targets_aspect_ratio() -> None:
    wide = np.zeros((10, 30, 3), np.uint8)
    wide[:, :10], wide[:, 10:20], wide[:, 20:] = RED, GREEN, BLUE
    assert one_colour(decode(encoded(Image.fromarray(wide)), (3, 5, 5), "box")) == GREEN
    assert one_colour(decode(encoded(Image.fromarray(wide.transpose(1, 0, 2))), (3, 5, 5), "box")) == GREEN
    assert decode(encoded(Image.fromarray(wide)), (3, 4, 12), "box")[0, :, :4].min() == 255  # the whole image, nothing cropped


def test_downscaling_is_antialiased() -> None:
    stripes = np.zeros((64, 64), np.uint8)
    stripes[:, ::2] = 255
    for filter in ("lanczos", "bicubic", "bilinear", "box"):
        inner = resize(stripes, (1, 16, 16), filter)[:, :, 2:-2]
        np.testing.assert_allclose(inner, 127.5, atol=4)


def test_filters_differ() -> None:
    outcomes = {resize(noise(40, 40), (3, 16, 16), filter).tobytes() for filter in ("lanczos", "bicubic", "bilinear", "box")}
    assert len(outcomes) == 4


def test_transparency_is_laid_over_white() -> None:
    assert one_colour(decode(encoded(Image.new("RGBA", (8, 8), (255, 0, 0, 0))), (3, 4, 4), "box")) == WHITE
    assert one_colour(decode(encoded(Image.new("RGBA", (8, 8), (255, 0, 0, 51))), (3, 4, 4), "box")) == (255, 204, 204)
    assert one_colour(decode(encoded(Image.new("LA", (8, 8), (0, 0))), (1, 4, 4), "box")) == (255,)


def test_transparency_is_kept_where_there_is_a_channel_for_it() -> None:
    assert one_colour(decode(encoded(Image.new("RGBA", (8, 8), (255, 0, 0, 51))), (4, 4, 4), "box")) == (255, 0, 0, 51)
    assert one_colour(decode(encoded(Image.new("LA", (8, 8), (100, 255))), (2, 4, 4), "lanczos")) == (100, 255)
    assert one_colour(decode(encoded(Image.new("RGB", (8, 8), RED)), (4, 4, 4), "box")) == (*RED, 255)


def test_palettes_are_resolved_with_and_without_transparency() -> None:
    palette = Image.new("RGB", (8, 8), RED).convert("P")
    assert one_colour(decode(encoded(palette), (3, 4, 4), "box")) == RED
    assert one_colour(decode(encoded(palette, transparency=palette.getpixel((0, 0))), (3, 4, 4), "box")) == WHITE


def test_cmyk_and_bilevel_images_are_read() -> None:
    cmyk = decode(encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "TIFF"), (3, 4, 4), "box")
    assert one_colour(cmyk) == RED
    assert one_colour(decode(encoded(Image.new("1", (8, 8), 1)), (3, 4, 4), "box")) == WHITE


@pytest.mark.parametrize(
    ("grey", "format", "expected"),
    [
        (np.full((8, 8), 0x8080, np.uint16), "PNG", 128),
        (np.full((8, 8), 0x8080, np.uint16), "TIFF", 128),
        (np.full((8, 8), 65535, np.int32), "TIFF", 255),
        (np.full((8, 8), 0.5, np.float32), "TIFF", 128),
        (np.full((8, 8), 100, np.float32), "TIFF", 100),
    ],
)
def test_deep_grey_is_scaled_to_eight_bits(grey: np.ndarray, format: str, expected: int) -> None:
    assert one_colour(decode(encoded(Image.fromarray(grey), format), (1, 4, 4), "box")) == (expected,)


def test_deep_grey_that_fits_no_range_spans_its_own() -> None:
    grey = np.linspace(-1000, 3000, 64, dtype=np.float32).reshape(8, 8)
    pixels = decode(encoded(Image.fromarray(grey), "TIFF"), (1, 8, 8), "box")
    assert (pixels.min(), pixels.max()) == (0, 255)


def test_exif_orientation_is_applied() -> None:
    upright = np.zeros((20, 10, 3), np.uint8)
    upright[:10] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # stored turned by 90 degrees, to be shown clockwise
    stored = Image.fromarray(np.rot90(upright))
    pixels = decode(encoded(stored, "JPEG", quality=100, exif=exif), (1, 20, 10), "box")
    assert pixels[0, :9].min() > 240
    assert pixels[0, 11:].max() < 15


def test_grey_is_the_luminance_and_grey_images_become_rgb() -> None:
    assert one_colour(decode(encoded(Image.new("RGB", (4, 4), GREEN)), (1, 4, 4), "box")) == (150,)
    assert one_colour(decode(encoded(Image.new("L", (4, 4), 70)), (3, 4, 4), "box")) == (70, 70, 70)


@pytest.mark.parametrize("data", [b"", b"not a image, only text", encoded(Image.fromarray(noise(64, 64)))[:2000]])
def test_what_is_no_whole_image_is_unreadable(data: bytes) -> None:
    with pytest.raises(UnreadableImage, match=r"\w+"):
        decode(data, (3, 8, 8), "box")


def test_a_decompression_bomb_is_unreadable() -> None:
    bomb = encoded(Image.new("1", (14_000, 14_000)))
    assert len(bomb) < 100_000
    with pytest.raises(UnreadableImage, match="bomb"):
        decode(bomb, (1, 8, 8), "box")


def test_raw_pixels_and_encoded_ones_are_resized_alike() -> None:
    pixels = noise(31, 47)
    np.testing.assert_array_equal(resize(pixels, (3, 16, 16), "lanczos"), decode(encoded(Image.fromarray(pixels)), (3, 16, 16), "lanczos"))
    np.testing.assert_array_equal(resize(pixels[:, :, :1], (1, 16, 16), "box"), resize(pixels[:, :, 0], (1, 16, 16), "box"))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_png_round_trip(channels: int) -> None:
    image = np.random.default_rng(0).integers(1, 256, (channels, 9, 7), np.uint8)
    np.testing.assert_array_equal(decode(encode_png(image), image.shape, "box"), image)


def test_a_grid_holds_its_images_in_reading_order_on_white() -> None:
    images = np.stack([np.full((1, 4, 6), 10 * index, np.uint8) for index in range(5)])
    layout = np.asarray(grid(images, columns=3, padding=1, scale=2))
    assert layout.shape == (2 * 9 + 1, 3 * 13 + 1)
    for index in range(5):
        top, left = 1 + index // 3 * 9, 1 + index % 3 * 13
        assert (layout[top : top + 8, left : left + 12] == 10 * index).all()
    assert (layout[:, 0] == 255).all()
    assert (layout[10:, 28:] == 255).all()


def test_a_grid_is_near_square_and_enlarges_small_images_only() -> None:
    assert grid(np.zeros((64, 1, 32, 32), np.uint8)).size == (8 * 66 + 2, 8 * 66 + 2)
    assert grid(np.zeros((3, 3, 128, 128), np.uint8)).size == (2 * 130 + 2, 2 * 130 + 2)


def test_a_grid_is_encoded_with_its_texts(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, 3, 64, 64), np.uint8)
    (tmp_path / "grid.png").write_bytes(grid_png(images, {"key": "text"}))
    pixels, texts = read_png(tmp_path / "grid.png")
    np.testing.assert_array_equal(pixels, np.asarray(grid(images)).transpose(2, 0, 1))
    assert texts == {"key": "text"}
