"""What is bright magenta where nobody sees it: no file format, size, filter or number of channels lets the colour into a sample."""

import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from ganray.modalities.image import Target, decode, resize

SIDE = 48
SEEN = np.hypot(*(np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2)) < SIDE / 3  # a disc
ALPHA = np.where(SEEN, 255, 0).astype(np.uint8)
MAGENTA = (255, 0, 255)
COLOURS = np.where(SEEN[..., None], 255, MAGENTA).astype(np.uint8)
RGBA = Image.fromarray(np.dstack([COLOURS, ALPHA]))
GREY = np.where(SEEN, 255, 77).astype(np.uint8)


def saved(image: Image.Image, format: str, **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def palette() -> Image.Image:
    image = Image.frombytes("P", (SIDE, SIDE), SEEN.astype(np.uint8).tobytes())
    image.putpalette([*MAGENTA, 255, 255, 255])
    return image


def deep(values: np.ndarray, colour_type: int, key: tuple[int, ...] = ()) -> bytes:
    """A PNG of 16 bits a channel, with a transparent grey value or colour if one is given."""
    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in values)
    parts = [(b"IHDR", struct.pack(">IIBBBBB", SIDE, SIDE, 16, colour_type, 0, 0, 0))]
    parts += [(b"tRNS", struct.pack(f">{len(key)}H", *key))] if key else []
    parts += [(b"IDAT", zlib.compress(lines)), (b"IEND", b"")]
    chunks = [struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def deep_colours(white: int, hidden: tuple[int, int, int]) -> np.ndarray:
    return np.where(SEEN[..., None], white, hidden)


EIGHT_BITS = {
    "PNG": saved(RGBA, "PNG"),
    "WebP": saved(RGBA, "WEBP", lossless=True, exact=True),
    "TIFF": saved(RGBA, "TIFF"),
    "GIF": saved(RGBA, "GIF"),
    "animated PNG": saved(RGBA, "PNG", save_all=True, append_images=[RGBA.rotate(90)]),
    "grey with alpha": saved(Image.fromarray(np.dstack([GREY, ALPHA])), "PNG"),
    "palette": saved(palette(), "PNG", transparency=0),
    "palette with alphas": saved(palette(), "PNG", transparency=b"\x00\xff"),
    "transparent colour": saved(Image.fromarray(COLOURS), "PNG", transparency=MAGENTA),
    "transparent grey": saved(Image.fromarray(GREY), "PNG", transparency=77),
}
SIXTEEN_BITS = {
    "16 bits": deep(np.dstack([deep_colours(65535, (65535, 0, 65535)), ALPHA * 257.0]), 6),
    "16 bits, transparent colour": deep(deep_colours(65535, (65535, 0, 0xABCD)), 2, (65535, 0, 0xABCD)),
    "16 bits, transparent grey": deep(np.where(SEEN, 65535, 0x1234), 0, (0x1234,)),
}
TWELVE_BITS = {
    "12 bits": deep(np.dstack([deep_colours(4095, (4095, 0, 4095)), ALPHA * 257.0]), 6),
    "12 bits, transparent colour": deep(deep_colours(4095, (4095, 0, 0xABC)), 2, (4095, 0, 0xABC)),
    "12 bits, transparent colour beyond them": deep(deep_colours(4095, (65535, 0, 65535)), 2, (65535, 0, 65535)),
    "12 bits, transparent grey": deep(np.where(SEEN, 4095, 0x123), 0, (0x123,)),
    "12 bits, transparent grey beyond them": deep(np.where(SEEN, 4095, 65535 // 3), 0, (65535 // 3,)),
}
FILES = [(name, data, depth) for depth, files in ((16, EIGHT_BITS | SIXTEEN_BITS), (12, TWELVE_BITS)) for name, data in files.items()]


@pytest.mark.parametrize(("data", "depth"), [file[1:] for file in FILES], ids=[file[0] for file in FILES])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_a_colour_that_nobody_sees_is_in_no_sample(data: bytes, depth: int, channels: int) -> None:
    for side in (7, 24, SIDE, 64):
        for filter in ("lanczos", "box"):
            pixels, peak = decode(data, Target((channels, side, side), filter, bit_depth=depth))
            colours = pixels[:-1] if channels in (2, 4) else pixels  # white on white, or white all over with alpha
            assert colours.min() >= 254, (side, filter)
            assert peak in (None, 65535, 4095)
            if channels in (2, 4):
                assert (pixels[-1].min(), pixels[-1].max()) == (0, 255)


@pytest.mark.parametrize("side", [24, SIDE, 64])
def test_raw_pixels_are_no_exception(side: int) -> None:
    assert resize(np.asarray(RGBA), Target((4, side, side), "bicubic"))[:3].min() >= 254


def test_what_is_seen_is_the_only_source_of_colour_at_a_soft_edge() -> None:
    """Half of each pixel's weight is magenta that shows by a twentieth: it may tint by that much, and no more."""
    alpha = np.where(SEEN, 255, 13).astype(np.uint8)
    faint = Image.fromarray(np.dstack([COLOURS, alpha]))
    (_, green, _, _), _ = decode(saved(faint, "PNG"), Target((4, 1, 1), "box"))
    weights = np.where(SEEN, 255, 13)
    assert abs(int(green[0, 0]) - 255 * weights[SEEN].sum() / weights.sum()) <= 1
