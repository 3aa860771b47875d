"""Parallel coordinates (Inselberg 1985) of a sweep's trials: an axis a searched field, one for the score, a line a trial.

Lines of plotly's scatter plot rather than its parcoords, which needs WebGL (a sandbox or a remote desktop may have none) and does
not say which trial the pointer is on.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from ganray.config import Sweep
from ganray.config.describe import short, short_paths
from ganray.config.space import Choice, Dimension, LogUniform
from ganray.report.figures import NAMED, chart, round_numbers, spans_decade
from ganray.report.sweep_figures import describe, line_of, metric_name
from ganray.runs.trials import Trial


@dataclass(frozen=True)
class Axis:
    """An upright axis: each trial's height in [0, 1], None without a value, and ticks (height, text)."""

    name: str
    heights: Sequence[float | None]
    ticks: Sequence[tuple[float, str]]


def parallel_coordinates(sweep: Sweep, ranked: list[Trial]) -> go.Figure | None:
    """Return a line a trial that has a finite score, the best strongest and on top; None without any."""
    trials = [trial for trial in ranked if trial.score is not None and math.isfinite(trial.score)]
    if not trials:
        return None
    names, scores = short_paths(sorted(sweep.space)), [float(trial.score) for trial in trials if trial.score is not None]
    axes = [_axis(names[path], sweep.space[path], [trial.params.get(path) for trial in trials]) for path in sorted(sweep.space)]
    axes.append(_numeric_axis(metric_name(sweep), scores, log=spans_decade(scores)))
    lines = [_line(trial, [axis.heights[rank] for axis in axes], line_of(rank, len(trials))) for rank, trial in enumerate(trials)]
    across = {"visible": False, "range": [-0.15, len(axes) - 0.55], "fixedrange": True}
    figure = chart(lines[::-1], height=340, xaxis=across, yaxis={"visible": False, "range": [-0.06, 1.24], "fixedrange": True})
    for place, axis in enumerate(axes):
        _draw(figure, axis, place, last=place == len(axes) - 1)
    return figure


def _axis(name: str, dimension: Dimension, values: Sequence[Any]) -> Axis:
    """Return a field's axis over the whole range that is searched, and what trials had beyond it."""
    if isinstance(dimension, Choice):
        return _categorical_axis(name, dimension.values, values)
    return _numeric_axis(name, values, [dimension.low, dimension.high], log=isinstance(dimension, LogUniform))


def _categorical_axis(name: str, choices: Sequence[Any], values: Sequence[Any]) -> Axis:
    known = list(dict.fromkeys([*map(_category, choices), *(_category(value) for value in values if value is not None)]))
    heights = {text: (place + 0.5) / len(known) for place, text in enumerate(known)}
    return Axis(name, [heights.get(_category(value)) for value in values], [(height, text) for text, height in heights.items()])


def _category(value: Any) -> str:
    return "null" if value is None else short(value)


def _numeric_axis(name: str, values: Sequence[float | None], ends: Sequence[float] = (), *, log: bool) -> Axis:
    known = [float(value) for value in (*values, *ends) if value is not None]
    low, high = (math.log10(end) if log else end for end in (min(known), max(known)))
    span = (high - low) or 1.0

    def height(value: float | None) -> float | None:
        return None if value is None else ((math.log10(value) if log else value) - low) / span

    ticks = [tick for tick in round_numbers(low, high, log=log) if low - 1e-9 <= (math.log10(tick) if log else tick) <= high + 1e-9]
    return Axis(name, [height(value) for value in values], [(height(tick) or 0.0, f"{tick:.3g}") for tick in ticks])


def _line(trial: Trial, heights: Sequence[float | None], line: dict[str, Any]) -> go.Scatter:
    places = list(range(len(heights)))
    return go.Scatter(x=places, y=heights, mode="lines+markers", line=line, marker={"size": 5}, meta=describe(trial), hovertemplate=NAMED)


def _draw(figure: go.Figure, axis: Axis, place: int, *, last: bool) -> None:
    """Draw an axis: names take turns in two rows, so that long ones do not meet."""
    figure.add_shape(type="line", x0=place, x1=place, y0=0, y1=1, line={"color": "#9aa5b1", "width": 1}, layer="below")
    anchor = "right" if last else "left" if place == 0 else "center"
    name = {"text": f"<b>{axis.name}</b>", "y": 1.1 + 0.09 * (place % 2), "xanchor": anchor, "font": {"size": 12}}
    ticks = [{"text": text, "y": height, "xanchor": "left", "xshift": 4, "bgcolor": "rgba(255,255,255,0.5)"} for height, text in axis.ticks]
    for annotation in (name, *({"font": {"size": 11}} | tick for tick in ticks)):
        figure.add_annotation(x=place, showarrow=False, yanchor="middle", borderpad=0, **annotation)
