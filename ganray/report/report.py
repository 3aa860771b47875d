"""`ganray report`: the page of a run, of a sweep, or of several runs, as one file."""

import re
from collections.abc import Sequence
from pathlib import Path

from ganray.errors import ConfigError
from ganray.report.comparison_page import render_comparison
from ganray.report.images import Progress
from ganray.report.run_page import render_run
from ganray.report.sweep_page import render_sweep
from ganray.runs.overview import NAME, find_folder
from ganray.runs.run import Run
from ganray.storage import open_store
from ganray.storage.files import atomic_write, local_errors


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
