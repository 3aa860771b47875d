"""`ganray report`: the page of a run, of a sweep, or of several runs, as one file."""

import re
from collections.abc import Sequence
from pathlib import Path

from ganray.config.fields import NAME_CHARACTERS
from ganray.errors import ConfigError
from ganray.report.comparison_page import render_comparison
from ganray.report.images import Progress
from ganray.report.run_page import render_run
from ganray.report.sweep_page import render_sweep
from ganray.runs.run import Run
from ganray.storage import ObjectStore, open_store
from ganray.storage.files import atomic_write, local_errors
from ganray.sweep.records import JOB

NAME = r"[a-z0-9][a-z0-9._-]{0,63}"
FOLDER = re.compile(rf"(runs|sweeps)/{NAME}|sweeps/{NAME}/trials/[0-9]+")


def write_report(storage_uri: str, names: Sequence[str], path: Path, progress: Progress | None = None) -> None:
    """Write the page of a run or sweep, or of several runs, to a file.

    A name is that of a run or sweep, or its folder in the storage, as `runs/NAME`, `sweeps/NAME` or `sweeps/NAME/trials/0003`. Raises
    `ConfigError` for one that is not there. `progress` is called as data is read.
    """
    storage = open_store(storage_uri)
    folders = {name: find_folder(storage, name) for name in names}
    is_sweep = {name: re.fullmatch(rf"sweeps/{NAME}", folder) is not None for name, folder in folders.items()}
    if len(folders) == 1:
        ((name, folder),) = folders.items()
        page = render_sweep(storage.child(folder), name) if is_sweep[name] else render_run(Run(storage, folder), progress)
    elif sweeps := [name for name in folders if is_sweep[name]]:
        raise ConfigError(
            "NAME", f"{sweeps[0]} is a sweep, and only runs are compared", f"name trials of it, as {folders[sweeps[0]]}/trials/0000"
        )
    else:
        page = render_comparison({name: Run(storage, folder) for name, folder in folders.items()})
    with local_errors("write", path, field="--out"), atomic_write(path) as file:
        file.write(page.encode())


def find_folder(storage: ObjectStore, name: str) -> str:
    """Return the folder of a run or sweep in a storage. Raises `ConfigError` unless a name is that of one of them."""
    if FOLDER.fullmatch(name):
        found = [name] if _exists(storage, name) else []
    elif re.fullmatch(NAME, name):
        found = [folder for folder in (f"runs/{name}", f"sweeps/{name}") if _exists(storage, folder)]
    else:
        raise ConfigError("NAME", f"invalid name {name!r}", f"use {NAME_CHARACTERS}, or a folder as sweeps/NAME/trials/0000")
    if not found:
        raise ConfigError(
            "NAME", f"there is no run or sweep {name!r} in {storage.uri}", "name one that `ganray runs list` shows, or a sweep"
        )
    if len(found) > 1:
        raise ConfigError("NAME", f"a run and a sweep are named {name!r}", f"say {' or '.join(found)}")
    return found[0]


def _exists(storage: ObjectStore, folder: str) -> bool:
    key = f"{folder}/{JOB}"
    return any(info.key == key for info in storage.list(key))
