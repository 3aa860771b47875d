"""Charts as SVG text: lines, parallel coordinates, bars and lineages. What the mouse rests on names itself."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

WIDTH, HEIGHT = 880, 320
LEFT, RIGHT, TOP, BOTTOM = 64, 20, 16, 44
ARROW = '<marker id="head" markerWidth="7" markerHeight="7" refX="6" refY="3" orient="auto"><path d="M0,0 L6,3 L0,6 z"/></marker>'
BEST, WORST = (12, 92, 148), (221, 224, 228)


@dataclass(frozen=True)
class Series:
    """One line: its points (x, y), what it is called, and its colour."""

    points: Sequence[tuple[float, float]]
    title: str
    colour: str
    width: float = 1.5


@dataclass(frozen=True)
class Axis:
    """A scale from values to pixels, logarithmic where all values are positive and span a decade."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        """Return a value's pixel."""
        low, high, value = (math.log10(item) if self.log else item for item in (self.low, self.high, value))
        return self.start + (value - low) / ((high - low) or 1.0) * (self.end - self.start)

    def ticks(self, most: int = 5) -> list[float]:
        """Return round values along the axis."""
        if self.log:
            decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            ticks = [factor * 10.0**decade for decade in decades for factor in ((1, 2, 5) if len(decades) < 4 else (1,))]
        else:
            span = (self.high - self.low) or 1.0
            step = next(
                size * 10 ** math.floor(math.log10(span)) / 10
                for size in (1, 2, 5, 10, 20)
                if span / size * 10 <= most * 10 ** math.floor(math.log10(span))
            )
            ticks = [step * number for number in range(math.ceil(self.low / step), math.floor(self.high / step) + 1)]
        return [tick for tick in ticks if self.low <= tick <= self.high]


def axis(values: Sequence[float], start: float, end: float, *, log: bool | None = None) -> Axis:
    """Return a scale that holds all values."""
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    if log is None:
        log = low > 0 and high / low > 10
    return Axis(low, high, start, end, log and low > 0)


def shade(share: float) -> str:
    """Return the colour of a place in a ranking, 0 (best) to 1."""
    return "#" + "".join(f"{round(best + (worst - best) * share):02x}" for best, worst in zip(BEST, WORST, strict=True))


def line_chart(series: Sequence[Series], *, x: str, y: str, step: bool = False) -> str:
    """Return lines over a common pair of axes, the last on top. `step` holds each value until the next."""
    points = [point for line in series for point in line.points]
    across = axis([0.0, *(point[0] for point in points)], LEFT, WIDTH - RIGHT, log=False)
    up = axis([point[1] for point in points], HEIGHT - BOTTOM, TOP)
    drawn = [_frame(across, up, x, y)]
    for line in series:
        places = [(across.at(a), up.at(b)) for a, b in line.points]
        if step:
            places = [place for (a, b), (c, _) in zip(places, [*places[1:], places[-1:][0]], strict=True) for place in ((a, b), (c, b))]
        drawn.append(_line(places, line.colour, line.title, line.width))
        drawn += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="2" fill="{line.colour}"/>' for a, b in places[-1:]]
    return _svg(drawn, HEIGHT)


def parallel_chart(rows: Sequence[Mapping[str, Any]], fields: Sequence[str], titles: Sequence[str], colours: Sequence[str]) -> str:
    """Return a line a row through an upright axis a field; text has evenly spaced places."""
    gap = (WIDTH - 2 * LEFT) / max(len(fields) - 1, 1)
    scales = {field: _scale([row[field] for row in rows]) for field in fields}
    drawn = []
    for row, title, colour in zip(rows, titles, colours, strict=True):
        places = [(LEFT + number * gap, scales[field][0](row[field])) for number, field in enumerate(fields) if row[field] is not None]
        drawn.append(_line(places, colour, title, 1.8))
    for number, field in enumerate(fields):
        across = LEFT + number * gap
        drawn.append(f'<line x1="{across:.1f}" x2="{across:.1f}" y1="{TOP + 18}" y2="{HEIGHT - BOTTOM}" class="axis"/>')
        anchor = "start" if number == 0 else "end" if number == len(fields) - 1 else "middle"
        drawn.append(_text(across, TOP + 14 * (number % 2) - 4, field, anchor, "label"))
        drawn += [_text(across + 4, place + 4, text, "start", "tick") for place, text in scales[field][1]]
    return _svg(drawn, HEIGHT)


def bar_chart(values: Mapping[str, float]) -> str:
    """Return a bar a value, the largest first; values are shares, 0 to 1."""
    drawn, height = [], 26 * len(values) + 8
    longest = max(values.values(), default=0) or 1.0
    for number, (name, value) in enumerate(sorted(values.items(), key=lambda item: -item[1])):
        top, length = 6 + 26 * number, value / longest * (WIDTH - 420)
        drawn.append(_text(300, top + 13, name, "end", "label"))
        drawn.append(f'<rect x="310" y="{top}" width="{length:.1f}" height="17" fill="{shade(0.15)}"/>')
        drawn.append(_text(316 + length, top + 13, f"{value:.2f}", "start", "tick"))
    return _svg(drawn, height)


def lineage_chart(members: Sequence[str], copies: Sequence[tuple[float, int, int, str]], *, end: float) -> str:
    """Return a level line a member, and an arrow for each copy: (images, from, to, title)."""
    height = 22 * len(members) + BOTTOM + TOP
    across = Axis(0, end, LEFT, WIDTH - RIGHT)
    drawn = [f"<defs>{ARROW}</defs>"]
    for number, name in enumerate(members):
        level = TOP + 22 * number + 8
        drawn.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{level}" y2="{level}" class="grid"/>')
        drawn.append(_text(LEFT - 8, level + 4, name, "end", "tick"))
    for images, source, target, title in copies:
        place = across.at(images)
        ends = [TOP + 22 * number + 8 for number in (source, target)]
        drawn.append(
            f'<line x1="{place:.1f}" x2="{place + 8:.1f}" y1="{ends[0]}" y2="{ends[1]}" stroke="{shade(0)}" stroke-width="1.6" '
            f'marker-end="url(#head)"><title>{escape(title)}</title></line>'
        )
    drawn += [_text(across.at(tick), height - 22, _number(tick), "middle", "tick") for tick in across.ticks()]
    drawn.append(_text((LEFT + WIDTH) / 2, height - 6, "images of a trial", "middle", "label"))
    return _svg(drawn, height)


def _scale(values: Sequence[Any]) -> tuple[Callable[[Any], float], list[tuple[float, str]]]:
    """Return what places a field's values on an upright axis, and its ticks."""
    known = [value for value in values if value is not None]
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in known):
        up = axis([float(value) for value in known], HEIGHT - BOTTOM, TOP + 30)
        ticks = up.ticks() if up.high > up.low else [up.low]
        return (lambda value: up.at(float(value))), [(up.at(tick), _number(tick)) for tick in ticks]
    names = sorted({str(value) for value in known})
    places = {name: TOP + 30 + (HEIGHT - BOTTOM - TOP - 40) * (number + 0.5) / len(names) for number, name in enumerate(names)}
    return (lambda value: places[str(value)]), [(place, name) for name, place in places.items()]


def _frame(across: Axis, up: Axis, x: str, y: str) -> str:
    """Return grid lines, ticks and names of a pair of axes."""
    parts = []
    for tick in up.ticks():
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{up.at(tick):.1f}" y2="{up.at(tick):.1f}" class="grid"/>')
        parts.append(_text(LEFT - 6, up.at(tick) + 4, _number(tick), "end", "tick"))
    parts += [_text(across.at(tick), HEIGHT - BOTTOM + 16, _number(tick), "middle", "tick") for tick in across.ticks()]
    parts.append(_text((LEFT + WIDTH) / 2, HEIGHT - 8, x, "middle", "label"))
    parts.append(f'<g transform="rotate(-90 14 {HEIGHT / 2})">{_text(14, HEIGHT / 2, y, "middle", "label")}</g>')
    return "".join(parts)


def _line(places: Sequence[tuple[float, float]], colour: str, title: str, width: float) -> str:
    path = " ".join(f"{a:.1f},{b:.1f}" for a, b in places)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"><title>{escape(title)}</title></polyline>'


def _text(x: float, y: float, text: str, anchor: str, kind: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{kind}">{escape(text)}</text>'


def _number(value: float) -> str:
    """Return a tick's value in few letters."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{letter}"
    return f"{value:.3g}"


def _svg(parts: Sequence[str], height: float) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img">{"".join(parts)}</svg>'
