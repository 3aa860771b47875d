"""Temporary folders that go with their process, also where that is killed: a shell outlives it by seconds, and removes them.

Their names tell their process, so that a later one removes what is left all the same, as of a machine that lost its power, and ends
a local Ray. The owner's process id, start time and a hash of its machine's boot are in the name, from the moment that a folder exists.
"""

import contextlib
import functools
import hashlib
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from ganray.cluster.process import boot_id, is_dead, own_identity

SESSION = "ray-session"  # file with the name of the owner's local Ray session
# Reads folders until the pipe is closed by its writer's end, then ends what is left of its Ray, as agents, which would stay for a minute,
# and removes the folders; once more, since others may still write there. In a process of its own, which no signal to the terminal or to
# the group of its parent reaches.
JANITOR = f"""exec 3<&0
(trap '' HUP INT TERM
while IFS= read -r folder; do set -- "$@" "$folder"; done <&3
for folder; do [ -e "$folder/{SESSION}" ] && "$0" -m ganray.cluster.scratch "$folder"; done
rm -rf -- "$@"; sleep 5; rm -rf -- "$@") &"""
_STARTING = threading.Lock()  # of the one that a process has: a second one's pipe would be closed with what it was told
TITLE = b"ray::"  # how the title of a process of Ray's begins, which overwrites its command line
_NAME = re.compile(r"ganray-[a-z]+-(?P<pid>\d+)-(?P<started>\d+)-(?P<boot>[0-9a-f]{12})-.+")
_SESSION_NAME = re.compile(r"session_[0-9_-]+")


def scratch_folder(purpose: str) -> tempfile.TemporaryDirectory[str]:
    """Return a new temporary folder of this process, and remove those of processes that have ended. `purpose` is lower-case letters."""
    remove_dead()
    own = own_identity()
    prefix = f"ganray-{purpose}-{own['pid']}-{own['started'] or 0}-{_boot_hash()}-"
    folder = tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True)
    remove_after_death(folder.name)
    return folder


def remove_after_death(folder: str) -> None:
    """Have a folder removed once this process has ended, in whichever way."""
    with contextlib.suppress(OSError), _STARTING:  # without a shell, or where it was killed, a later process does it
        janitor = _janitor(os.getpid())
        janitor.write(os.fsencode(folder) + b"\n")
        janitor.flush()


@functools.cache
def _janitor(_: int) -> IO[bytes]:
    """Start the shell that removes this process's folders after its death, and return the pipe that tells it which."""
    with open(os.devnull, "wb") as null:
        shell = subprocess.Popen(
            ["sh", "-c", JANITOR, sys.executable], stdin=subprocess.PIPE, stdout=null, stderr=null, start_new_session=True
        )
    shell.wait()  # what it has started goes on
    assert shell.stdin is not None
    return shell.stdin


def remove_dead() -> None:
    """Remove this user's temporary folders whose process has ended, and end what is left of its local Ray.

    What another machine, boot or container made stays: whether its process has ended cannot be known here.
    """
    for folder in Path(tempfile.gettempdir()).glob("ganray-*"):
        if _belongs_to_dead(folder):
            end_session_of(folder)
            shutil.rmtree(folder, ignore_errors=True)


def mark_session(folder: str, session: str) -> None:
    """Write into a scratch folder that its process has started the local Ray of this session."""
    Path(folder, SESSION).write_text(session)


def end_session_of(folder: Path) -> None:
    """End what is left of the local Ray whose session a folder names, if it names one. Its process has ended."""
    with contextlib.suppress(OSError):
        _end_session((folder / SESSION).read_text())


def _belongs_to_dead(folder: Path) -> bool:
    owner = _NAME.fullmatch(folder.name)
    if owner is None or owner["boot"] != _boot_hash():
        return False
    try:
        is_own = folder.lstat().st_uid == os.getuid()
    except OSError:
        return False
    return is_own and is_dead({"boot": boot_id(), "pid": int(owner["pid"]), "started": owner["started"]})


def _end_session(session: str) -> None:
    """Kill this user's processes that serve a Ray session: its folder is on their command lines, or they are Ray's and write below it."""
    if not _SESSION_NAME.fullmatch(session):
        return
    served = re.compile(rf"/{session}(?![0-9])".encode())
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            is_ours = process.stat().st_uid == os.getuid() and int(process.name) != os.getpid()
            if is_ours and served.search(_traces(process)):
                os.kill(int(process.name), signal.SIGKILL)


def _traces(process: Path) -> bytes:
    """Return a process's command line or, where that is but a title of Ray's, the files that it has open for writing, too."""
    command = (process / "cmdline").read_bytes()
    return b"\n".join([command, *_written_files(process)]) if command.startswith(TITLE) else command


def _written_files(process: Path) -> Iterator[bytes]:
    for file in (process / "fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed since it was listed
            if file.lstat().st_mode & stat.S_IWUSR:
                yield os.fsencode(os.readlink(file))


def _boot_hash() -> str:
    return hashlib.sha256(boot_id().encode()).hexdigest()[:12]


if __name__ == "__main__":  # as the janitor calls it
    end_session_of(Path(sys.argv[1]))
