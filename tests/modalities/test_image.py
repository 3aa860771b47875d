"""Decoding and encoding images, and laying them out in grids."""

import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ganray.modalities import image as images
from ganray.modalities.image import Pixels, Target, UnreadableImage, encode_png, grid, grid_png, read_png

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def decode(data: bytes, shape: tuple[int, int, int], filter: str, **settings: Any) -> Pixels:
    return images.decode(data, Target(shape, filter, **settings))[0]


def resize(pixels: Pixels, shape: tuple[int, int, int], filter: str) -> Pixels:
    return images.resize(pixels, Target(shape, filter))


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


def deep_png(values: np.ndarray) -> bytes:
    """A PNG of 16 bits a channel, which Pillow does not write: values [H, W] or [H, W, C]."""
    height, width, channels = np.atleast_3d(values).shape
    lines = values.astype(">u2").reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"".join(b"\0" + line.tobytes() for line in lines))), (b"IEND", b"")]
    parts = [struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def deep_tiff(values: np.ndarray, order: str, compression: int = 1) -> bytes:
    """A TIFF of 16-bit RGB, in one strip: plain (1) or deflated (8), of the order of bytes "<" or ">"."""
    height, width, channels = values.shape
    strip = values.astype(f"{order}u2").tobytes()
    strip = zlib.compress(strip) if compression == 8 else strip
    shorts = {256: width, 257: height, 259: compression, 262: 2, 277: channels, 278: height}
    longs = {258: (3, channels, 8), 273: (4, 1, 14), 279: (4, 1, len(strip))}  # bits of each channel stand right behind the header
    entries = {tag: struct.pack(f"{order}HHIHH", tag, 3, 1, value, 0) for tag, value in shorts.items()}
    entries |= {tag: struct.pack(f"{order}HHII", tag, kind, count, value) for tag, (kind, count, value) in longs.items()}
    directory = struct.pack(f"{order}H", len(entries)) + b"".join(entries[tag] for tag in sorted(entries)) + bytes(4)
    header = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 14 + len(strip))
    return header + struct.pack(f"{order}HHH", 16, 16, 16) + strip + directory


DEEP = np.arange(16 * 16 * 3).reshape(16, 16, 3) * 4095 // 767  # 0 to 4095
DEEP_FILES = {
    "grey": lambda values: deep_png(values[..., 0]),
    "grey as TIFF": lambda values: encoded(Image.fromarray(values[..., 0].astype(np.uint16)), "TIFF"),
    "grey as 32-bit TIFF": lambda values: encoded(Image.fromarray(values[..., 0].astype(np.int32)), "TIFF"),
    "RGB": deep_png,
    "RGBA": lambda values: deep_png(np.dstack([values, np.full((16, 16), 65535)])),
    "RGB as TIFF": lambda values: deep_tiff(values, "<"),
    "RGB as TIFF, big-endian": lambda values: deep_tiff(values, ">"),
    "RGB as deflated TIFF": lambda values: deep_tiff(values, "<", 8),
    "RGB as deflated TIFF, big-endian": lambda values: deep_tiff(values, ">", 8),
}


@pytest.mark.parametrize("kind", DEEP_FILES)
def test_images_of_12_bits_in_files_of_16_are_scaled_by_their_bit_depth(kind: str) -> None:
    values = DEEP[..., :1].repeat(3, axis=2) if kind.startswith("grey") else DEEP
    data = DEEP_FILES[kind](values)
    pixels, peak = images.decode(data, Target((3, 16, 16), "box", bit_depth=12))
    np.testing.assert_array_equal(pixels, (values.transpose(2, 0, 1) * (255 / 4095)).round())
    assert peak == values.max()
    dark, measured = images.decode(data, Target((3, 16, 16), "box"))
    assert dark.max() <= 16
    assert measured is not None
    assert measured.bit_length() == 12
    with pytest.raises(UnreadableImage, match=r"values up to 4,0..*, more than data.bit_depth=11"):
        images.decode(data, Target((3, 16, 16), "box", bit_depth=11))


def test_images_of_8_bits_have_no_peak_and_no_bit_depth() -> None:
    data = encoded(Image.fromarray(noise(16, 16)))
    pixels, peak = images.decode(data, Target((3, 16, 16), "box", bit_depth=12))
    np.testing.assert_array_equal(pixels, noise(16, 16).transpose(2, 0, 1))
    assert peak is None


def test_deep_grey_with_alpha_is_measured_and_not_scaled() -> None:
    data = deep_png(np.dstack([DEEP[..., 0], np.full((16, 16), 65535)]))
    assert images.decode(data, Target((2, 16, 16), "box"))[1] == 4095
    with pytest.raises(UnreadableImage, match="bit_depth"):
        images.decode(data, Target((2, 16, 16), "box", bit_depth=12))


@pytest.mark.parametrize(("background", "expected"), [((0, 0, 0), (51, 0, 0)), ((0, 0, 255), (51, 0, 204)), (WHITE, (255, 204, 204))])
def test_transparency_is_laid_on_the_background(background: tuple[int, int, int], expected: tuple[int, ...]) -> None:
    data = encoded(Image.new("RGBA", (8, 8), (255, 0, 0, 51)))
    assert one_colour(decode(data, (3, 4, 4), "box", background=background)) == expected
    assert one_colour(decode(data, (4, 4, 4), "box", background=background)) == (255, 0, 0, 51)


def disc(side: int, colour: tuple[int, int, int], hidden: tuple[int, int, int]) -> Image.Image:
    """A disc of one colour with a soft edge, and another colour where it is transparent."""
    distance = np.hypot(*(np.mgrid[:side, :side] - (side - 1) / 2))
    alpha = (255 * (side / 3 - distance).clip(0, 1)).round()
    colours = np.where(alpha[..., None] > 0, colour, hidden)
    return Image.fromarray(np.dstack([colours, alpha]).astype(np.uint8))


@pytest.mark.parametrize("filter", ["lanczos", "bicubic", "bilinear", "box"])
@pytest.mark.parametrize("side", [16, 32, 61, 150])  # smaller and larger than the source
def test_colours_are_weighted_by_alpha_and_go_on_where_nobody_sees_them(filter: str, side: int) -> None:
    colour = (200, 120, 40)
    pixels = decode(encoded(disc(96, colour, (0, 255, 255))), (4, side, side), filter)
    np.testing.assert_allclose(pixels[:3].reshape(3, -1).T, np.tile(colour, (side * side, 1)), atol=1)
    assert (pixels[3].min(), pixels[3].max()) == (0, 255)


def test_an_image_of_the_targets_size_keeps_its_pixels_with_what_is_transparent() -> None:
    rgba = np.random.default_rng(0).integers(0, 256, (16, 16, 4), np.uint8)
    rgba[..., 3] |= 1
    np.testing.assert_array_equal(decode(encoded(Image.fromarray(rgba)), (4, 16, 16), "lanczos").transpose(1, 2, 0), rgba)
    rgba[4:8, 4:8] = (255, 0, 255, 0)
    kept = decode(encoded(Image.fromarray(rgba)), (4, 16, 16), "lanczos").transpose(1, 2, 0)
    is_seen = rgba[..., 3] > 0
    np.testing.assert_array_equal(kept[is_seen], rgba[is_seen])
    assert (kept[~is_seen] != rgba[~is_seen]).any(axis=1).all()


def test_an_image_that_is_transparent_all_over_is_black_and_an_opaque_one_is_resized_as_without_alpha() -> None:
    assert one_colour(decode(encoded(Image.new("RGBA", (8, 8), (9, 9, 9, 0))), (4, 4, 4), "box")) == (0, 0, 0, 0)
    opaque = Image.fromarray(noise(31, 47))
    with_alpha = decode(encoded(opaque.convert("RGBA")), (4, 16, 16), "lanczos")
    np.testing.assert_array_equal(with_alpha[:3], np.asarray(opaque.crop((8, 0, 39, 31)).resize((16, 16), 1)).transpose(2, 0, 1))


def test_faint_colours_are_kept() -> None:
    assert one_colour(decode(encoded(Image.new("RGBA", (8, 8), (200, 100, 50, 2))), (4, 4, 4), "box")) == (200, 100, 50, 2)
