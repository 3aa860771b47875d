"""The charts of a sweep as plotly figures: best score so far, learning curves, importances and a population's lineage."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from itertools import accumulate
from typing import Any

import plotly.graph_objects as go

from ganray.config import Sweep
from ganray.config.describe import short
from ganray.report.figures import COLOURS, INK, NAMED, chart, images_axis, shade, value_axis
from ganray.runs.trials import Exploit, Trial, rank_key

EXTINCT, BROKEN = "#b8c2cc", "#c92a2a"


def best_so_far(sweep: Sweep, trials: list[Trial]) -> go.Figure | None:
    """Return the incumbent's score over the images of all trials, as steps, above a dot for every rung that a trial reached."""
    reached = [(images, score, trial) for images, score, trial in spending(trials) if score is not None and math.isfinite(score)]
    if not reached:
        return None

    def better(incumbent: tuple[int, float, Trial], other: tuple[int, float, Trial]) -> tuple[int, float, Trial]:
        return min(incumbent, other, key=lambda item: rank_key(item[1], maximise=sweep.maximise))

    spent, scores, found = zip(*reached, strict=True)
    _, best_scores, incumbents = zip(*accumulate(reached, better), strict=True)
    dots = go.Scatter(x=spent, y=scores, text=[describe(trial) for trial in found], mode="markers")
    dots.update(marker={"color": shade(0.6), "size": 5}, hovertemplate="%{y:.4g} by %{text}<extra></extra>")
    steps = go.Scatter(x=spent, y=best_scores, text=[describe(trial) for trial in incumbents], mode="lines")
    steps.update(line={"color": shade(0), "width": 2.5, "shape": "hv"}, hovertemplate="best so far: %{y:.4g} by %{text}<extra></extra>")
    return chart([dots, steps], xaxis=images_axis("images of all trials"), yaxis=value_axis(metric_name(sweep), scores))


def spending(trials: list[Trial]) -> list[tuple[int, float | None, Trial]]:
    """Return (images that all trials had spent, score, trial) at every rung that one reached, in the order of time."""
    reached = []
    for trial in trials:
        starts = [0, *(rung["images"] for rung in trial.rungs)]
        reached += [(rung["at"], rung["images"] - start, rung["score"], trial) for rung, start in zip(trial.rungs, starts, strict=False)]
    reached.sort(key=lambda item: item[0])
    spent = accumulate(images for _, images, _, _ in reached)
    return [(images, score, trial) for images, (_, _, score, trial) in zip(spent, reached, strict=True)]


def learning_curves(sweep: Sweep, trials: list[Trial], ranked: list[Trial]) -> go.Figure | None:
    """Return every trial's scores over its images, the best trial strongest and on top, a cross where one broke."""
    ranks = {trial.number: rank for rank, trial in enumerate(ranked)}
    curves = []
    for trial in sorted(trials, key=lambda trial: ranks.get(trial.number, len(trials)), reverse=True):
        points = [(images, score) for images, score in trial.curve if math.isfinite(score)]
        if points:
            curves.append(_learning_curve(trial, points, line_of(ranks.get(trial.number, len(ranked)), len(ranked))))
    scores = [score for curve in curves for score in curve.y]
    return (
        chart(curves, height=400, xaxis=images_axis("images of a trial"), yaxis=value_axis(metric_name(sweep), scores)) if curves else None
    )


def _learning_curve(trial: Trial, points: Sequence[tuple[float, float]], line: dict[str, Any]) -> go.Scatter:
    images, scores = zip(*points, strict=True)
    last = ("x", 9, BROKEN) if trial.status.is_broken else ("circle", 4, line["color"])
    before = [("circle", 4, line["color"])] * (len(points) - 1)
    marker = dict(zip(("symbol", "size", "color"), zip(*before, last, strict=True), strict=True))
    curve = go.Scatter(x=images, y=scores, mode="lines+markers", line=line, marker=marker)
    return curve.update(meta=describe(trial), hovertemplate=f"%{{y:.4g}} at %{{x:,}} images<br>{NAMED}")


def importance_bars(importances: Mapping[str, float]) -> go.Figure | None:
    """Return a bar a field, the most important on top; importances are shares of 1."""
    if not importances:
        return None
    names, shares = zip(*sorted(importances.items(), key=lambda item: item[1]), strict=True)
    bars = go.Bar(x=shares, y=names, orientation="h", marker={"color": shade(0.15)}, text=[f"{share:.2f}" for share in shares])
    bars.update(textposition="outside", cliponaxis=False, hovertemplate="%{y}: %{x:.3f}<extra></extra>", width=0.6)
    across = {"range": [0, (max(shares) or 1) * 1.12], "visible": False}
    return chart([bars], height=40 + 30 * len(names), xaxis=across, yaxis={"automargin": True, "showgrid": False})


def lineage(trials: list[Trial]) -> go.Figure | None:
    """Return a level line a member over its images and an arrow for each exploit, in the colours of the founders that have descendants."""
    copies = sorted(((copy["images"], trial.number, copy) for trial in trials for copy in trial.lineage), key=lambda item: item[:2])
    if not copies:
        return None
    founder, since = {trial.number: trial.number for trial in trials}, {trial.number: 0 for trial in trials}
    pieces, arrows, width = [], [], max(trial.images for trial in trials)
    for images, number, copy in copies:
        pieces.append((trials[number], since[number], images, founder[number]))
        arrows.append(_exploit(trials[number], trials[copy["from"]], copy, width))
        since[number], founder[number] = images, founder[copy["from"]]
    pieces += [(trial, since[trial.number], max(trial.images, since[trial.number]), founder[trial.number]) for trial in trials]
    colours = dict(zip(sorted(set(founder.values())), COLOURS * len(trials), strict=False))
    members = [_member(trial, start, stop, colours.get(origin, EXTINCT)) for trial, start, stop, origin in pieces]
    levels = {"type": "category", "categoryarray": [trial.name for trial in trials], "autorange": "reversed", "showgrid": False}
    return chart([*members, *arrows], height=80 + 28 * len(trials), xaxis=images_axis("images of a member"), yaxis=levels)


def _member(trial: Trial, start: int, stop: int, colour: str) -> go.Scatter:
    """Return the time that a member carried one founder's weights."""
    line = {"color": colour, "width": 4}
    return go.Scatter(x=[start, stop], y=[trial.name] * 2, mode="lines", line=line, meta=describe(trial), hovertemplate=NAMED)


def _exploit(trial: Trial, donor: Trial, copy: Exploit, width: int) -> go.Scatter:
    """Return an arrow from the donor to the member that took over its training state."""
    changes = [f"{escape(path)}: {short(copy['before'].get(path))} → {short(value)}" for path, value in sorted(copy["after"].items())]
    says = "<br>".join([f"<b>{trial.name} copied {donor.name}</b> at {copy['images']:,} images", *changes])
    arrow = go.Scatter(x=[copy["images"], copy["images"] + 0.012 * width], y=[donor.name, trial.name], mode="lines+markers")
    arrow.update(line={"color": INK, "width": 1.3}, meta=says, hovertemplate=NAMED)
    return arrow.update(marker={"symbol": "arrow", "angleref": "previous", "size": [5, 10], "color": INK})


def line_of(rank: int, count: int) -> dict[str, Any]:
    """Return the line of the trial at a place in the ranking; the best one is also the widest."""
    share = min(rank / max(count - 1, 1), 1.0)
    return {"color": shade(share**0.6), "width": 2.8 if rank == 0 else 1.5}  # 0.6: the few best stand out from the many


def describe(trial: Trial) -> str:
    """Return a trial's name, status, best score and params, as the pointer shows them."""
    lines = [f"<b>trial {trial.name}</b>, {trial.status}, best score {short(trial.score) or 'none'}"]
    lines += [f"{escape(path)} = {escape(short(value))}" for path, value in sorted(trial.params.items())]
    lines += [f"(params since {trial.lineage[-1]['images']:,} images)"] if trial.lineage else []
    return "<br>".join(lines)


def metric_name(sweep: Sweep) -> str:
    """Return the metric as axes name it: "metric/frechet" is "frechet"."""
    return sweep.metric.removeprefix("metric/")
