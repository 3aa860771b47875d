"""Facts and tables as text: aligned, with headers that a terminal shows in bold, or as JSON for scripts."""

import json
from collections.abc import Mapping, Sequence
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
