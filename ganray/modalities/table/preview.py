"""A preview of rows as an image: the first of them as text, and each column's histogram over the data's."""

from collections.abc import Mapping
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, PngImagePlugin

from ganray.modalities.table.codec import TableCodec
from ganray.modalities.table.column import CategoryColumn, Codes, Column
from ganray.modalities.table.encoding import NUM_LEVELS

NUM_ROWS, NUM_TEXT_COLUMNS, MAX_TEXT = 12, 12, 16  # of the text above
NUM_BARS = 16
MAX_HISTOGRAMS, PER_LINE = 24, 6
CELL, LINE, HEIGHT, MARGIN = 126, 17, 118, 10  # pixels: a column of text, a line of it, a histogram with its title, the edge
REAL, FAKE, INK, GRID = (187, 187, 187), (68, 119, 170), (40, 40, 40), (225, 225, 225)  # of Tol's colours, told apart by all
FONT_SIZE = 12

Shares = NDArray[np.float64]


def preview_png(codec: TableCodec, codes: Codes, texts: Mapping[str, str] | None = None) -> bytes:
    """Return a PNG of codes [N, columns], N > 0, with `texts` by their keywords."""
    shown = min(len(codec.columns), NUM_TEXT_COLUMNS)
    histograms = min(len(codec.columns), MAX_HISTOGRAMS)
    width = 2 * MARGIN + CELL * max(shown, PER_LINE)
    text_height = LINE * (min(len(codes), NUM_ROWS) + 1) + MARGIN
    image = Image.new("RGB", (width, text_height + 2 * MARGIN + HEIGHT * -(-histograms // PER_LINE)), "white")
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(FONT_SIZE)
    _draw_rows(draw, font, codec, codes[:NUM_ROWS])
    wide = (width - 2 * MARGIN) / PER_LINE
    for place, column in enumerate(codec.columns[:histograms]):
        line, across = divmod(place, PER_LINE)
        corner = (MARGIN + across * wide, text_height + MARGIN + line * HEIGHT)
        _draw_histogram(draw, font, column, codes[:, place], corner, wide - MARGIN)
    return _png(image, texts or {})


def histogram(column: Column, codes: Codes) -> tuple[Shares, Shares, list[str]]:
    """Return the shares of bars among the data and among codes [N], and the bars' names: choices, then ranges of levels."""
    specials = len(column.values) if isinstance(column, CategoryColumn) else len(column.specials)
    counts = np.bincount(np.minimum(codes, specials), minlength=specials + 1) / len(codes)
    order = np.argsort(-np.array(column.shares, np.float64), kind="stable")[: NUM_BARS if not column.num_levels else 3]
    real, fake = np.array(column.shares, np.float64)[order], counts[:specials][order]
    values = column.values if isinstance(column, CategoryColumn) else column.specials
    names = ["missing" if values[code] is None else str(values[code]).removesuffix(".0") for code in order]
    if not column.num_levels:
        return real, fake, names
    bins = (codes[codes >= specials].astype(np.int64) - specials) * NUM_BARS // NUM_LEVELS
    spread = np.bincount(bins, minlength=NUM_BARS)[:NUM_BARS] / len(codes)
    share = max(1.0 - float(np.sum(column.shares)), 0.0)
    assert not isinstance(column, CategoryColumn)
    middles = column.level_values[(np.arange(NUM_BARS) * 2 + 1) * NUM_LEVELS // (2 * NUM_BARS)]
    numbered = [column.format.write(value) for value in middles]
    return np.concatenate([real, np.full(NUM_BARS, share / NUM_BARS)]), np.concatenate([fake, spread]), names + numbered


def _draw_rows(draw: ImageDraw.ImageDraw, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, codec: TableCodec, codes: Codes) -> None:
    rows = codec.texts(codes)
    for across, name in enumerate(rows.column_names[:NUM_TEXT_COLUMNS]):
        left = MARGIN + across * CELL
        for line, text in enumerate([name, *("" if value is None else value for value in rows[name].to_pylist())]):
            draw.text((left, MARGIN + line * LINE), _short(text), INK if line else FAKE, font=font)
    draw.line([(MARGIN, MARGIN + LINE - 2), (MARGIN + CELL * min(rows.num_columns, NUM_TEXT_COLUMNS), MARGIN + LINE - 2)], GRID)


def _draw_histogram(
    draw: ImageDraw.ImageDraw,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    column: Column,
    codes: Codes,
    corner: tuple[float, float],
    wide: float,
) -> None:
    """Draw a column's bars: the data's in grey, the rows' in front of them, narrower; a bar of levels is of equal probability."""
    real, fake, names = histogram(column, codes)
    left, top = corner
    base, high = top + HEIGHT - 2 * LINE, HEIGHT - 3 * LINE
    step, scale = wide / max(len(real), 1), max(float(max(real.max(), fake.max())), 1e-9)
    draw.text((left, top - 2), _short(column.name), INK, font=font)
    for place, (a, b) in enumerate(zip(real, fake, strict=True)):
        x = left + place * step
        draw.rectangle([x, base - high * a / scale, x + step - 1, base], REAL)
        draw.rectangle([x + step * 0.25, base - high * b / scale, x + step * 0.75 - 1, base], FAKE)
    draw.line([(left, base), (left + wide, base)], INK)
    draw.text((left, base + 1), _short(names[0]), INK, font=font)
    if len(names) > 1:
        draw.text((left + wide, base + 1), _short(names[-1])[:10], INK, font=font, anchor="ra")


def _short(text: str) -> str:
    printable = "".join(letter if letter.isprintable() else "?" for letter in text)
    return printable if len(printable) <= MAX_TEXT else f"{printable[: MAX_TEXT - 1]}…"


def _png(image: Image.Image, texts: Mapping[str, str]) -> bytes:
    info = PngImagePlugin.PngInfo()
    for keyword, text in texts.items():
        info.add_itxt(keyword, text)
    file = BytesIO()
    image.save(file, "PNG", pnginfo=info)
    return file.getvalue()
