"""The style of all charts, as plotly figures: axes, colours, and numbers as text.

Colours are those of a light page: a dark page inverts its charts as a whole, so that what is weak stays weak.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from ganray.config.describe import short

STRONG, WEAK = (12, 92, 148), (205, 213, 221)  # the best of a ranking, and the worst
INK, GRID = "#1c2733", "rgba(28,39,51,0.11)"
COLOURS = ("#0c5c94", "#d9480f", "#2b8a3e", "#9c36b5", "#b08900", "#c2255c", "#0b7285", "#5f3dc4")
NAMED = "%{meta}<extra></extra>"  # what the pointer shows: the trace's meta, without the box for a trace's name
MAX_POINTS = 1500  # of a curve, beyond which neighbours are averaged


def chart(traces: Sequence[Any], *, height: int = 320, showlegend: bool = False, **layout: Any) -> go.Figure:
    """Return a figure in the report's style: no frame, faint grid, text of the page's font and size, the legend above."""
    figure = go.Figure(traces)
    figure.update_layout(template=go.layout.Template(), height=height, showlegend=showlegend, hovermode="closest", **layout)
    figure.update_layout(legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "bgcolor": "rgba(0,0,0,0)"})
    figure.update_layout(font={"family": "system-ui, sans-serif", "size": 12, "color": INK}, margin={"l": 8, "r": 24, "t": 24, "b": 8})
    figure.update_layout(paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)")
    figure.update_layout(hoverlabel={"align": "left", "bgcolor": "#ffffff", "bordercolor": "#9aa5b1", "font": {"color": INK, "size": 12}})
    figure.update_layout(modebar={"bgcolor": "rgba(0,0,0,0)", "color": "#9aa5b1", "activecolor": INK})
    axes = {"automargin": True, "gridcolor": GRID, "zeroline": False, "ticks": "outside", "tickcolor": "rgba(0,0,0,0)"}
    return figure.update_xaxes(**axes).update_yaxes(**axes)


@dataclass(frozen=True)
class Curve:
    """A named line of a chart, by points (images seen, value) in order."""

    name: str
    points: Sequence[tuple[float, float]]


def curves_chart(curves: Iterable[Curve], *, title: str, markers: bool = False, **layout: Any) -> go.Figure | None:
    """Return curves over images seen, a colour each, a title, and a legend that switches them; None where none has points."""
    traces: list[go.Scatter] = []
    for place, curve in enumerate(curves):
        points = [point for point in curve.points if math.isfinite(point[1])]
        if points:
            images, values = zip(*thin(points), strict=True)
            line = {"color": COLOURS[place % len(COLOURS)], "width": 1.8}
            trace = go.Scatter(x=images, y=values, name=curve.name, mode="lines+markers" if markers else "lines", line=line)
            traces.append(trace.update(marker={"size": 5}, hovertemplate="%{y:.4g} at %{x:,} images"))
    if not traces:
        return None
    given = layout.pop("yaxis", {})
    yaxis = given if given.get("type") == "linear" else value_axis(None, [value for trace in traces for value in trace.y]) | given
    has_legend = len(traces) > 1
    figure = chart(traces, height=280, xaxis=images_axis("images seen"), yaxis=yaxis, showlegend=has_legend, **layout)
    above = {"text": title, "x": 0, "xref": "paper", "y": 1, "yref": "container", "yanchor": "top", "pad": {"t": 6}, "font": {"size": 13}}
    return figure.update_layout(title=above, margin={"t": 58 if has_legend else 34})


def thin(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return at most `MAX_POINTS` points: where there are more, the means of neighbours."""
    step = -(-len(points) // MAX_POINTS)
    groups = (points[start : start + step] for start in range(0, len(points), step))
    return [(group[-1][0], sum(value for _, value in group) / len(group)) for group in groups]


def images_axis(title: str) -> dict[str, Any]:
    """Return an axis of a number of images, from 0."""
    return {"title": {"text": title}, "rangemode": "tozero", "tickformat": "~s"}


def value_axis(title: str | None, values: Sequence[float]) -> dict[str, Any]:
    """Return an axis of values, logarithmic where they are told apart better so."""
    scale: dict[str, Any] = {"title": {"text": title}} if title else {}
    if not spans_decade(values):
        return scale
    ticks = round_numbers(math.log10(min(values)), math.log10(max(values)), log=True)
    return scale | {"type": "log", "tickvals": ticks, "ticktext": [short(tick) for tick in ticks]}


def shade(share: float) -> str:
    """Return the colour of a place in a ranking, 0 (best) to 1."""
    return f"rgb({','.join(str(round(strong + (weak - strong) * share)) for strong, weak in zip(STRONG, WEAK, strict=True))})"


def spans_decade(values: Sequence[float]) -> bool:
    """Return whether values are told apart better on a logarithmic axis."""
    return min(values) > 0 and max(values) > 10 * min(values)


def round_numbers(low: float, high: float, *, log: bool) -> list[float]:
    """Return a handful of round values from below `low` to above `high`; with `log`, these two are logarithms."""
    if log:
        factors = (1, 2, 5) if high - low < 2 else (1,)
        return [factor * 10.0**decade for decade in range(math.floor(low), math.ceil(high) + 1) for factor in factors]
    if low == high:
        return [low]
    power = 10.0 ** math.floor(math.log10(high - low))
    step = next(factor * power for factor in (0.2, 0.5, 1, 2) if (high - low) <= 6 * factor * power)
    return [step * number for number in range(math.floor(low / step), math.ceil(high / step) + 1)]
