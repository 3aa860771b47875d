"""`ganray init`: a commented job file for a source of images, checked as `ganray train` checks it."""

import json
import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import yaml

from ganray.config import Job, check_job
from ganray.data.sources.rows import is_remote, split_path
from ganray.errors import ConfigError
from ganray.scaffold.recipe import Entry, Machine, recipe
from ganray.scaffold.survey import Progress, Survey, survey
from ganray.storage import open_store
from ganray.storage.files import atomic_write, local_errors

GPUS = Path("/proc/driver/nvidia/gpus")  # a folder of it for each
COMMENT = 52  # column at which comments begin, at least
MAX_NAME = 60
PLAIN = re.compile(r"[A-Za-z0-9./_][A-Za-z0-9./_:+-]*")  # texts that may stand without quotes
MIN_PLAIN = 0.01  # of numbers that are written without an exponent


def write_job(
    path: str, *, out: Path | None = None, name: str | None = None, storage: str = "./store", progress: Progress | None = None
) -> tuple[Path, Survey, list[Entry]]:
    """Look at a folder, zip archive or Parquet files, write a job file with a recipe that fits, and return it with what was found.

    `out` is by default `<name>.yaml` here, `name` the source's. An existing file is never replaced. Raises `ConfigError` for one, and
    `DataError` for a source that is missing, or has no images that can be read.
    """
    path = path if is_remote(path) else str(Path(path).expanduser().resolve())
    name = name or name_of(path)
    out = out or Path(f"{name}.yaml")
    if out.exists():
        raise ConfigError("--out", f"{out} exists already", "name another file, or remove it")
    found = survey(path, open_store(storage), progress)
    entries = recipe(found, Machine(gpus()), name=name, storage=storage)
    text = render(entries, found)
    check(text)
    with local_errors("write", out, field="--out"), atomic_write(out) as file:
        file.write(text.encode())
    return out, found, entries


def name_of(path: str) -> str:
    """Return a name for a run on a source: its own, of the characters that a name can have."""
    name = re.sub(r"\.(zip|parquet)$", "", split_path(path)[1].partition("?")[0])
    return re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("-._")[:MAX_NAME] or "my-images"


def gpus() -> int:
    """Return the number of NVIDIA's GPUs of this machine."""
    return len(list(GPUS.iterdir())) if GPUS.is_dir() else 0


def render(entries: Iterable[Entry], found: Survey) -> str:
    """Return a job file with its reasons as comments."""
    title = [
        f"# Made by `ganray init` after a look at {len(found.looks):,} of {found.count:,} images. Keys that are left out have defaults;",
        "# `ganray config THIS_FILE --fields` describes them all.",
        *(f"# To be known: {_printable(note)}" for note in found.notes),
    ]
    return "\n".join([*title, *_lines(entries)]) + "\n"


def check(text: str) -> Job:
    """Return the job that a text is."""
    return check_job(yaml.safe_load(text))


def _lines(entries: Iterable[Entry]) -> Iterator[str]:
    for section, group in groupby(entries, lambda entry: entry.path.partition(".")[0]):
        for number, entry in enumerate(group):
            key, value = entry.path.partition(".")[2], _flow(entry.value)
            if not key:
                yield _commented(f"{section}: {value}", entry.why)
                continue
            if number == 0:
                yield from ("", f"{section}:")
            yield _commented(f"  {key}: {value}", entry.why)


def _commented(line: str, why: str) -> str:
    return f"{line.ljust(COMMENT)}  # {_printable(why)}" if why else line


def _flow(value: Any) -> str:
    """Return a value as YAML on one line."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 10_000:
        return f"{value:_}"
    if isinstance(value, float):
        return str(value) if value == 0 or value >= MIN_PLAIN else f"{value:.0e}".replace("e-0", "e-")
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, str):
        return value if PLAIN.fullmatch(value) and yaml.safe_load(value) == value else json.dumps(value, ensure_ascii=False)
    return json.dumps(value)


def _printable(text: str) -> str:
    """Return a text that may repeat names of files, on one line and without control characters."""
    return "".join(letter if letter.isprintable() else "?" for letter in " ".join(text.split()))
