"""What happened to a run on the axis of time: images seen, and checkpoints, lost workers, moves, resizes, rollbacks and publications."""

from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any

import plotly.graph_objects as go

from ganray.report.figures import COLOURS, INK, NAMED, chart
from ganray.runs.event_log import EventKind, RunEvent

MARKS = {  # by kind: symbol, colour and size
    EventKind.CHECKPOINT: ("circle", COLOURS[0], 6),
    EventKind.PUBLISH: ("star", COLOURS[2], 11),
    EventKind.START: ("triangle-right", INK, 10),
    EventKind.LOST_WORKER: ("x", "#c92a2a", 9),
    EventKind.RECOVERY: ("triangle-up", COLOURS[6], 9),
    EventKind.MOVE: ("diamond-open", COLOURS[7], 9),
    EventKind.RESIZE: ("diamond", COLOURS[3], 9),
    EventKind.ROLLBACK: ("arrow-down", COLOURS[1], 11),
    EventKind.END: ("square", INK, 8),
}


def timeline(events: Sequence[RunEvent]) -> go.Figure | None:
    """Return images seen over time with a mark for each event, a trace and a legend entry each kind; None without events."""
    if not events:
        return None
    ordered = sorted(events, key=lambda event: event.time)
    line = go.Scatter(x=[_when(event) for event in ordered], y=[event.images_seen for event in ordered], mode="lines", name="images seen")
    line.update(line={"color": "#9aa5b1", "width": 1.5}, hoverinfo="skip", showlegend=False)
    marks = [_marks(kind, [event for event in ordered if event.kind == kind]) for kind in MARKS]
    times = {"type": "date", "title": {"text": "time (UTC)"}}
    images = {"title": {"text": "images seen"}, "rangemode": "tozero", "tickformat": "~s"}
    return chart([line, *(mark for mark in marks if mark.x)], height=340, showlegend=True, xaxis=times, yaxis=images)


def _marks(kind: EventKind, events: Sequence[RunEvent]) -> go.Scatter:
    symbol, colour, size = MARKS[kind]
    marks = go.Scatter(x=[_when(event) for event in events], y=[event.images_seen for event in events], mode="markers")
    marks.update(name=words(kind), marker={"symbol": symbol, "color": colour, "size": size})
    return marks.update(customdata=[_describe(event) for event in events], hovertemplate=NAMED.replace("meta", "customdata"))


def words(kind: EventKind) -> str:
    """Return a kind of event in words."""
    return kind.value.replace("_", " ")


def details(event: RunEvent) -> str:
    """Return what an event says beside its kind, time and place."""
    return ", ".join(f"{name.replace('_', ' ')} {_text(value)}" for name, value in event.details.items())


def when(event: RunEvent) -> str:
    """Return an event's time as text."""
    return f"{_when(event):%Y-%m-%d %H:%M:%S}"


def _when(event: RunEvent) -> datetime:
    return datetime.fromtimestamp(event.time, UTC).replace(tzinfo=None)


def _describe(event: RunEvent) -> str:
    said = details(event)
    lines = [
        f"<b>{words(event.kind)}</b> at {event.images_seen:,} images, attempt {event.attempt}",
        when(event),
        *([escape(said)] if said else []),
    ]
    return "<br>".join(lines)


def _text(value: Any) -> str:
    return f"{value:,.6g}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value)
