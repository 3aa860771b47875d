"""Pages of the reference that are made from the code when the site is built: the job file, the commands, the Python interface."""

from collections.abc import Iterator
from typing import Any

import click
from mkdocs.structure.files import File, Files

import ganray
from ganray.cli import group
from ganray.config.describe import FieldDescription, describe_fields

MADE_FROM = "This page is made from the code of this version.\n"


def on_files(files: Files, *, config: Any) -> Files:
    """Add the generated pages to the site's."""
    pages = {"reference/job.md": job_page(), "reference/commands.md": commands_page(), "reference/python.md": python_page()}
    for path, content in pages.items():
        files.append(File.generated(config, path, content=content))
    return files


def job_page() -> str:
    """Return the reference of the job file: a table for each section."""
    lines = ["# The job file", MADE_FROM]
    lines.append(
        "Every field is also an override on the command line, and may be named in a sweep's space, by its path. Where a section has "
        "kinds, the path names the kind in brackets here, and leaves it out in a job: `data.source[folder].path` is `data.source.path` "
        "where `data.source.kind` is `folder`. `ganray config JOB --fields` prints the same in a terminal.\n"
    )
    fields = describe_fields()
    for section in dict.fromkeys(map(_section, fields)):
        lines += [f"## {section}", "", "| field | type | default | meaning |", "|---|---|---|---|"]
        lines += ["| " + " | ".join(_cells(field)) + " |" for field in fields if _section(field) == section]
        lines.append("")
    return "\n".join(lines)


def _section(field: FieldDescription) -> str:
    first, dot, _ = field["field"].partition(".")
    return first.partition("[")[0] if dot else "the run"


def _cells(field: FieldDescription) -> list[str]:
    texts = (f"`{field['field']}`", field["type"], f"`{field['default']}`", field["meaning"])
    return [" ".join(text.split()).replace("|", "\\|") for text in texts]


def commands_page() -> str:
    """Return the reference of the commands, from their help."""
    lines = ["# Commands", MADE_FROM]
    for path, command in _commands(group, ("ganray",)):
        context = click.Context(command, info_name=" ".join(path), max_content_width=110, terminal_width=110)
        lines += [f"## {' '.join(path)}", "", "```text", command.get_help(context), "```", ""]
    return "\n".join(lines)


def _commands(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from _commands(below, (*path, name))


def python_page() -> str:
    """Return the reference of what `import ganray` offers: what does something first, errors last."""
    names = sorted((name for name in ganray.__all__ if not name.startswith("_")), key=lambda name: (name[0].isupper(), name))
    entries = [f"::: {_where(name)}\n    options: {{heading: ganray.{name}, toc_label: {name}}}\n" for name in names]
    return "\n".join(["# Python", MADE_FROM, *entries])


def _where(name: str) -> str:
    """Return the path at which something of the package is defined: its attributes are imported when they are first used."""
    value = getattr(ganray, name)
    return f"{value.__module__}.{value.__qualname__}"
