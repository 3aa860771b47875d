"""Facts and tables as text: aligned, with headers that a terminal shows in bold, or as JSON for scripts."""

import json
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import click

GAP = "  "


def print_json(data: Any) -> None:
    """Print plain data as JSON."""
    click.echo(json.dumps(data, indent=1))


def print_rows(rows: Mapping[str, Any], *, as_json: bool) -> None:
    """Print values by name as lines, nested ones below their group's name, or as JSON."""
    if as_json:
        print_json(rows)
        return
    texts = {name: "" if isinstance(value, Mapping) else value for name, value in rows.items()}
    for line, value in zip(aligned(texts), rows.values(), strict=True):
        click.echo(line)
        if isinstance(value, Mapping):
            click.echo("".join(f"{GAP}{below}\n" for below in aligned(value)), nl=False)


def aligned(facts: Mapping[str, Any]) -> list[str]:
    """Return a line for each fact: its name, and its value in a column that the longest name leaves free."""
    width = max(map(len, facts), default=0)
    return [f"{name:<{width}}{GAP}{value}".rstrip() for name, value in facts.items()]


def print_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows of texts in columns below their headers, which are bold on a terminal and plain in a pipe."""
    widths = [max(map(len, column)) for column in zip(headers, *rows, strict=True)]
    head, *lines = (GAP.join(f"{text:<{width}}" for text, width in zip(row, widths, strict=True)).rstrip() for row in [headers, *rows])
    click.echo("\n".join([click.style(head, bold=True), *lines]))


def event_row(event: Mapping[str, Any]) -> tuple[str, ...]:
    """Return an event of a run as a row: time, kind, images seen, and what else it has."""
    own = ("time", "event", "images_seen", "attempt")
    details = "  ".join(f"{name} {_short(value)}" for name, value in event.items() if name not in own)
    when = datetime.fromtimestamp(event["time"]).strftime("%Y-%m-%d %H:%M:%S")
    return when, event["event"].replace("_", " "), f"{event['images_seen']:,}", details


def age(updated: float | None) -> str:
    """Return how long ago a time (Unix seconds) was, in the unit that leaves at most two or three digits."""
    if updated is None:
        return "-"
    seconds = max(time.time() - updated, 0.0)
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"


def comparison_rows(runs: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """Return what `compare_runs` found as rows, a column a run; what none of them has is left out."""
    facts: list[dict[str, Any]] = []
    for run in runs:
        at = run["scores_at"] or {}
        facts.append(
            {
                "status": run["status"],
                "images": f"{run['images_seen']:,}/{run['total_images']:,}",
                "best score": run["metric"] and f"{run['metric'].removeprefix('metric/')} {run['score']:.4g}",
                **{
                    f"{name.removeprefix('metric/')} at {at['images_seen']:,}": value for name, value in at.items() if name != "images_seen"
                },
                "images/s": run["images_per_s"] and f"{run['images_per_s']:,.0f}",
                "recoveries": run["recoveries"],
                **run["job"],
            }
        )
    names = {name: None for each in facts for name, value in each.items() if value is not None}
    return [(name, *("-" if each.get(name) is None else _short(each[name]) for each in facts)) for name in names]


def _short(value: Any) -> str:
    return (
        f"{value:,.4g}"
        if isinstance(value, float)
        else f"{value:,}"
        if isinstance(value, int) and not isinstance(value, bool)
        else str(value)
    )
