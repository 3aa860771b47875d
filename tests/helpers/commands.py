"""Commands in this process, for tests of what a command does and says where a process of its own, which takes seconds, proves no more."""

import contextlib
import io
import logging
import subprocess
import sys

import pytest

from ganray.cli import main
from ganray.cli.display import StderrHandler
from tests.helpers.runs import REPOSITORY, ganray


def ganray_here(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Return the finished command, as `tests.helpers.runs.ganray` does; it uses the Ray that this process is connected to, if any."""
    output, errors, root = io.StringIO(), io.StringIO(), logging.getLogger()
    handler = StderrHandler(logging.WARNING)  # `main` sets none up where pytest has
    root.addHandler(handler)
    try:
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
            patch.chdir(REPOSITORY)
            patch.setattr(sys, "argv", ["ganray", *arguments])
            for name, value in variables.items():
                patch.setenv(name, value)
            with pytest.raises(SystemExit) as ended:
                main()
    finally:
        root.removeHandler(handler)
    return subprocess.CompletedProcess(arguments, int(ended.value.code or 0), output.getvalue(), errors.getvalue())


def succeed(*arguments: str) -> str:
    """Return what a command in a process of its own, which ended well, has printed."""
    return _output(ganray(*arguments))


def succeed_here(*arguments: str) -> str:
    """Return what a command in this process, which ended well, has printed."""
    return _output(ganray_here(*arguments))


def _output(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
