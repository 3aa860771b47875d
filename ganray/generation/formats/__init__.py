"""The formats that generated samples are written in, by their kind and the suffix of `--out`.

"" is a folder, and a name with `%` stands for numbered files in its folder.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np

from ganray.config.compatibility import KINDS
from ganray.errors import ConfigError, enumerated
from ganray.generation.formats.image import write_image_folder, write_image_parquet
from ganray.generation.formats.sound import write_sound_folder, write_sound_parquet, write_sound_sheet
from ganray.generation.formats.table import write_csv, write_table
from ganray.generation.formats.text import write_lines, write_text_parquet
from ganray.generation.formats.video import write_mp4_folder, write_mp4_grid, write_video_folder, write_video_grid, write_video_parquet
from ganray.generation.record import Record
from ganray.modalities.codec import Codec, Samples
from ganray.storage.files import atomic_write

MAX_GRID_SAMPLES = 4096
NUMBERED_MP4 = "%06d.mp4"  # names the files of a folder, as ffmpeg names numbered files

Writer = Callable[[Path, Iterable[Samples], Record, Codec], None]  # takes the record of all samples, as chunks


def write_preview(out: Path, chunks: Iterable[Samples], record: Record, codec: Codec) -> None:
    """Write all samples as one PNG file, as their codec shows them."""
    with atomic_write(out) as file:
        file.write(codec.preview(np.concatenate(list(chunks)), record.texts()))


FORMATS: Mapping[str, Mapping[str, Writer]] = {
    "image": {".png": write_preview, ".parquet": write_image_parquet, "": write_image_folder},
    "sound": {
        ".png": write_preview,
        ".wav": write_sound_sheet,
        ".flac": write_sound_sheet,
        ".parquet": write_sound_parquet,
        "": write_sound_folder,
    },
    "text": {".txt": write_lines, ".parquet": write_text_parquet},
    "video": {
        ".png": write_preview,
        ".webp": write_video_grid,
        ".gif": write_video_grid,
        ".mp4": write_mp4_grid,
        ".parquet": write_video_parquet,
        "": write_video_folder,
        NUMBERED_MP4: write_mp4_folder,
    },
    "table": {".csv": write_csv, ".parquet": write_table, ".png": write_preview},
}
# In memory as a whole, and generated again as a whole for their provenance.
SHEETS = (write_preview, write_sound_sheet, write_video_grid, write_mp4_grid)


def check_place(out: Path, num: int) -> None:
    """Raise `ConfigError` if no kind of sample can be written to a path, or not `num` of them."""
    suffixes, form = dict.fromkeys(suffix for formats in FORMATS.values() for suffix in formats), format_of(out)
    if form not in suffixes:
        raise ConfigError("--out", f"unsupported format {form!r}", f"name {_named(list(suffixes))}")
    having = [formats for formats in FORMATS.values() if form in formats]
    if num > MAX_GRID_SAMPLES and all(formats[form] in SHEETS for formats in having):
        others = dict.fromkeys(suffix for formats in having for suffix, writer in formats.items() if writer not in SHEETS)
        remedy = f"name {_named(list(others))}, or ask for {MAX_GRID_SAMPLES} at most"
        raise ConfigError("--out", f"one {form} file of {num} samples is too large", remedy)
    nearest = next(parent for parent in (out, *out.absolute().parents) if parent.exists())
    if nearest != out and not nearest.is_dir():
        raise ConfigError("--out", f"{nearest} is a file", "name a folder that exists or can be created")


def find_writer(out: Path, kind: str) -> Writer:
    """Return what writes samples of a kind to a path. Raises `ConfigError` if nothing does."""
    formats, form = FORMATS[kind], format_of(out)
    if form not in formats:
        raise ConfigError("--out", f"{KINDS[kind].nouns} are not written as {form or 'a folder'}", f"name {_named(list(formats))}")
    return formats[form]


def format_of(out: Path) -> str:
    """Return the format that a path names: its suffix, or all of a name that stands for numbered files."""
    return out.name if re.match(r"%\d*d\.", out.name) else out.suffix


def _named(suffixes: list[str]) -> str:
    """Return formats as a message has them: "a .png file, a .parquet file or a folder"."""
    names = ["a folder" if not suffix else f"FOLDER/{suffix}" if "%" in suffix else f"a {suffix} file" for suffix in suffixes]
    return enumerated(names, last="or")
