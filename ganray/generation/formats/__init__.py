"""The formats that generated samples are written in and read from, by their kind and the suffix of a file; a module a kind.

"" is a folder, and a name with `%` stands for numbered files in its folder.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from ganray.config.compatibility import KINDS
from ganray.errors import ConfigError, enumerated
from ganray.generation.formats import image, sound, table, text, video
from ganray.generation.formats.base import MAX_SHEET_SAMPLES, Format, Readable, Writer

FORMATS: Mapping[str, Mapping[str, Format]] = {
    "image": image.FORMATS,
    "sound": sound.FORMATS,
    "text": text.FORMATS,
    "video": video.FORMATS,
    "table": table.FORMATS,
}


def check_place(out: Path, num: int) -> None:
    """Raise `ConfigError` if no kind of sample can be written to a path, or not `num` of them."""
    suffixes, form = dict.fromkeys(suffix for formats in FORMATS.values() for suffix in formats), format_of(out)
    if form not in suffixes:
        raise ConfigError("--out", f"unsupported format {form!r}", f"name {_named(list(suffixes))}")
    having = [formats for formats in FORMATS.values() if form in formats]
    if num > MAX_SHEET_SAMPLES and all(formats[form].is_sheet for formats in having):
        others = dict.fromkeys(suffix for formats in having for suffix, format in formats.items() if not format.is_sheet)
        remedy = f"name {_named(list(others))}, or ask for {MAX_SHEET_SAMPLES} at most"
        raise ConfigError("--out", f"one {form} file of {num} samples is too large", remedy)
    nearest = next(parent for parent in (out, *out.absolute().parents) if parent.exists())
    if nearest != out and not nearest.is_dir():
        raise ConfigError("--out", f"{nearest} is a file", "name a folder that exists or can be created")


def find_writer(out: Path, kind: str) -> Writer:
    """Return what writes samples of a kind to a path. Raises `ConfigError` if nothing does."""
    formats, form = FORMATS[kind], format_of(out)
    if form not in formats:
        raise ConfigError("--out", f"{KINDS[kind].nouns} are not written as {form or 'a folder'}", f"name {_named(list(formats))}")
    return formats[form].write


def read_texts(file: Path) -> Mapping[str, str]:
    """Return a generated file's texts by their keywords, its record among them. Raises as `Reading.read` does."""
    suffix = file.suffix.lower()
    known = (formats[suffix].reading for formats in FORMATS.values() if suffix in formats)
    return next((reading for reading in known if reading), image.READING).texts(file)


def find_reading(file: Path, kind: str) -> Readable | None:
    """Return what reads a file of generated samples of a kind, by its suffix: what an image shows may be samples of any."""
    suffix = file.suffix.lower()
    if suffix == ".png" or not any(suffix in formats for formats in FORMATS.values()):
        return image.READING
    return FORMATS[kind][suffix].reading if suffix in FORMATS[kind] else None


def format_of(out: Path) -> str:
    """Return the format that a path names: its suffix, or all of a name that stands for numbered files."""
    return out.name if re.match(r"%\d*d\.", out.name) else out.suffix


def _named(suffixes: list[str]) -> str:
    """Return formats as a message has them: "a .png file, a .parquet file or a folder"."""
    names = ["a folder" if not suffix else f"FOLDER/{suffix}" if "%" in suffix else f"a {suffix} file" for suffix in suffixes]
    return enumerated(names, last="or")
