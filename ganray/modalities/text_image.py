"""An image of lines of text, in the first font that the machine has; characters that it lacks are shown by their code points."""

import contextlib
import functools
import math
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ganray.modalities.image import save_png

FONT_SIZE = 14  # pixels
LINE_HEIGHT = 20  # pixels
MARGIN = 8  # pixels
MAX_WIDTH = 1200  # pixels of the image, beyond which lines are in fewer columns
FONTS = ("DejaVuSans.ttf", "NotoSans-Regular.ttf", "LiberationSans-Regular.ttf", "Arial.ttf")  # Pillow's own has ASCII alone
MISSING = "\U0010ffff"  # a code point that no font has


def draw_lines(lines: Sequence[str], texts: Mapping[str, str] | None = None) -> bytes:
    """Return lines of text, in columns, as a PNG file with `texts` by their keywords."""
    font = _font()
    shown = [_visible(line) for line in lines]
    width = max(math.ceil(font.getlength(line)) for line in shown) + 2 * MARGIN
    columns = max(1, min(MAX_WIDTH // width, math.ceil(math.sqrt(len(lines) / 4))))
    rows = math.ceil(len(lines) / columns)
    image = Image.new("L", (columns * width + MARGIN, rows * LINE_HEIGHT + 2 * MARGIN), 255)
    draw = ImageDraw.Draw(image)
    for index, line in enumerate(shown):
        place = (MARGIN + index // rows * width, MARGIN + index % rows * LINE_HEIGHT)
        draw.text(place, line, fill=0, font=font)
    return save_png(image, texts)


def _visible(line: str) -> str:
    """Return a line as its font can show it; an empty one as a symbol."""
    return "".join(character if _has_glyph(character) else f"[{ord(character):x}]" for character in line) or "(empty)"


@functools.cache
def _has_glyph(character: str) -> bool:
    """Return whether the font draws a character otherwise than one that it lacks."""
    if character.isspace():
        return True
    drawn, missing = (np.asarray(_font().getmask(text)) for text in (character, MISSING))
    return drawn.shape != missing.shape or not np.array_equal(drawn, missing)


@functools.cache
def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    for name in FONTS:
        with contextlib.suppress(OSError):
            return ImageFont.truetype(name, FONT_SIZE)
    return ImageFont.load_default(size=FONT_SIZE)
