"""What a refusal by the command line is, and file systems that refuse."""

import contextlib
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ganray.storage.local import LOCK

LINE = re.compile(r"error: (?P<field>[^ ]+( [^ ]+)?): (?P<problem>[^;]+); (?P<remedy>.+)")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts")


def mistake(done: subprocess.CompletedProcess[str], *, exit_code: int = 2) -> tuple[str, str]:
    """Return the field and the whole line of an error, having checked its form and exit code: 2 the user's input, 3 the environment."""
    assert done.returncode == exit_code, done.stdout + done.stderr
    assert done.stdout == ""
    *stages, line = done.stderr.splitlines()
    assert {re.sub(r"  \d+%$", "", stage) for stage in stages} <= {"preparing data"}, done.stderr
    parts = LINE.fullmatch(line)
    assert parts, line
    return parts["field"], line


def objects(folder: Path) -> list[str]:
    """Return what was written below a folder; neither folders nor the files that the store locks are objects."""
    return [str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir() and path.name != LOCK]


@contextlib.contextmanager
def mounted(folder: Path, *options: str) -> Iterator[Path]:
    """Give an empty folder with a file system of its own, in memory."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", *options, "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)
