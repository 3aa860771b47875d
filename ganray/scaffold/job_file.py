"""`ganray init`: a commented job file for a source of any kind of samples, checked as `ganray train` checks it."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import yaml

from ganray.config import Job, check_job
from ganray.data.sources.rows import PATH_FIELD, is_remote, split_path
from ganray.errors import ConfigError, DataError
from ganray.scaffold.draft import Draft, Entry, Machine
from ganray.scaffold.files import look_at_files
from ganray.scaffold.kinds import Form, find_form, parquet_schema
from ganray.scaffold.looked import Progress
from ganray.scaffold.parquet import look_at_parquet
from ganray.scaffold.recipe import draft_images
from ganray.scaffold.sounds import MAX_LOOKS as MAX_SOUNDS
from ganray.scaffold.sounds import draft_sounds, look_at_sound
from ganray.scaffold.survey import survey_files, survey_parquet
from ganray.scaffold.tables import draft_csv, draft_parquet_table
from ganray.scaffold.texts import draft_lines, draft_text_column, text_source
from ganray.scaffold.videos import FRAMES, draft_videos, look_at_video
from ganray.scaffold.videos import MAX_LOOKS as MAX_VIDEOS
from ganray.storage import ObjectStore, open_store
from ganray.storage.files import atomic_write, local_errors

GPUS = Path("/proc/driver/nvidia/gpus")  # a folder of it for each
COMMENT = 52  # column at which comments begin, at least
MAX_NAME = 60
PLAIN = re.compile(r"[A-Za-z0-9./_][A-Za-z0-9./_:+-]*")  # texts that may stand without quotes
MIN_PLAIN = 0.01  # of numbers that are written without an exponent


def write_job(
    path: str,
    *,
    out: Path | None = None,
    name: str | None = None,
    storage: str = "./store",
    kind: str | None = None,
    progress: Progress | None = None,
) -> tuple[Path, Draft]:
    """Look at a folder, zip archive, table or text file, write a job file with a recipe that fits, and return it with what was found.

    `out` is by default `<name>.yaml` here, `name` the source's. `kind` is image, sound or video, where what is found is
    not what is meant. An existing file is never replaced. Raises `ConfigError` for one, or a kind that cannot be, and `DataError` for a
    source that is missing, or has no samples that can be read.
    """
    path = path if is_remote(path) else str(Path(path).expanduser().resolve())
    name = name or name_of(path)
    out = out or Path(f"{name}.yaml")
    if out.exists():
        raise ConfigError("--out", f"{out} exists already", "name another file, or remove it")
    try:
        draft = make_draft(path, open_store(storage), Machine(gpus()), name=name, storage=storage, kind=kind, progress=progress)
    except DataError as error:
        if error.field != PATH_FIELD:
            raise
        raise DataError("PATH", error.problem, error.remedy) from error
    text = render(draft)
    check(text)
    with local_errors("write", out, field="--out"), atomic_write(out) as file:
        file.write(text.encode())
    return out, draft


def make_draft(
    path: str, store: ObjectStore, machine: Machine, *, name: str, storage: str, kind: str | None = None, progress: Progress | None = None
) -> Draft:
    """Return a job for what a source holds, without what lies in `store`, the job's storage. `kind` is what files are said to be."""
    form = find_form(path, store, kind)
    draft = _draft(form, path, store, machine, name=name, storage=storage, progress=progress)
    return replace(draft, notes=[*form.notes, *draft.notes])


def _draft(form: Form, path: str, store: ObjectStore, machine: Machine, *, name: str, storage: str, progress: Progress | None) -> Draft:
    run = {"name": name, "storage": storage}
    match form.kind, form.is_parquet:
        case "image", False:
            return draft_images(survey_files(path, store, progress), machine, **run)
        case "image", True:
            return draft_images(survey_parquet(path, store, progress), machine, **run)
        case "sound", False:
            return draft_sounds(look_at_files(path, store, "sound", look_at_sound, most=MAX_SOUNDS, progress=progress), machine, **run)
        case "sound", True:
            return draft_sounds(look_at_parquet(path, store, look_at_sound, most=MAX_SOUNDS, progress=progress), machine, **run)
        case "video", False:
            found = look_at_files(path, store, "video", look_at_video, most=MAX_VIDEOS, max_frames=FRAMES, progress=progress)
            return draft_videos(found, machine, **run)
        case "video", True:
            return draft_videos(look_at_parquet(path, store, look_at_video, most=MAX_VIDEOS, progress=progress), machine, **run)
        case "csv", _:
            return draft_csv(path, store, machine, **run)
        case "lines", _:
            return draft_lines(path, store, machine, **run)
    if source := text_source(parquet_schema(path, store), path):
        return draft_text_column(source, store, machine, **run)
    return draft_parquet_table(path, store, machine, **run)


def name_of(path: str) -> str:
    """Return a name for a run on a source: its own, of the characters that a name can have."""
    name = re.sub(r"\.(zip|parquet|csv|csv\.gz|tsv|data|txt)$", "", split_path(path)[1].partition("?")[0])
    return re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("-._")[:MAX_NAME] or "my-data"


def gpus() -> int:
    """Return the number of NVIDIA's GPUs of this machine."""
    return len(list(GPUS.iterdir())) if GPUS.is_dir() else 0


def render(draft: Draft) -> str:
    """Return a job file with its reasons as comments."""
    title = [
        f"# Made by `ganray init` after a look at {draft.looked_at}. Keys that are left out have defaults;",
        "# `ganray config THIS_FILE --fields` describes them all.",
        *(f"# To be known: {_printable(note)}" for note in draft.notes),
    ]
    return "\n".join([*title, *_lines(draft.entries)]) + "\n"


def check(text: str) -> Job:
    """Return the job that a text is."""
    return check_job(yaml.safe_load(text))


def _lines(entries: Iterable[Entry]) -> Iterator[str]:
    is_nested = False
    for section, group in groupby(entries, lambda entry: entry.path.partition(".")[0]):
        for number, entry in enumerate(group):
            key, value = entry.path.partition(".")[2], _flow(entry.value)
            if not key:
                yield from [""] if is_nested else []
                yield _commented(f"{section}: {value}", entry.why)
                continue
            is_nested = True
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
