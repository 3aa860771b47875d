"""`ganray --help`: every command and every exit code is documented."""

from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from ganray.cli import group
from ganray.errors import GanrayError


def commands(parent: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
    for name, command in parent.commands.items():
        yield f"{path} {name}", command
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")


@pytest.mark.parametrize(("path", "command"), list(commands(group, "ganray")))
def test_every_command_and_option_has_help(path: str, command: click.Command) -> None:
    assert command.help, path
    assert all(option.help for option in command.params if isinstance(option, click.Option))


def test_help_documents_every_exit_code() -> None:
    text = CliRunner().invoke(group, ["--help"]).output
    codes = {line.split()[0] for line in text.partition("Exit codes:")[2].splitlines() if line.strip()}
    assert {str(error.exit_code) for error in GanrayError.__subclasses__()} | {"0", "1", "130"} == codes
