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


def mistake(done: subprocess.CompletedProcess[str]) -> tuple[str, str]:
    """Return the field and the whole line of a refusal, having checked that it is one; stages before it are no complaints."""
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stdout == ""
    *stages, line = done.stderr.splitlines()
    assert set(stages) <= {"preparing data"}, done.stderr
    said = LINE.fullmatch(line)
    assert said, line
    return said["field"], line


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
