"""What a source holds: images, sounds, videos, texts or rows, by the names and first bytes of its files."""

from collections import Counter
from dataclasses import dataclass
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from ganray.data.sources.archive import is_archive
from ganray.data.sources.files import FileTree, SourceFile
from ganray.data.sources.folder import select_samples
from ganray.data.sources.frames import frames_by_folder, number_of
from ganray.data.sources.parquet_columns import image_problem
from ganray.data.sources.rows import is_remote, list_files, source_errors, split_path
from ganray.errors import ConfigError, DataError, plural
from ganray.modalities.formats import FILE_KINDS, HEAD_BYTES, starts_as_image
from ganray.modalities.sound.formats import starts_as_sound
from ganray.modalities.video.formats import starts_as_video
from ganray.scaffold.columns import opened
from ganray.scaffold.files import files_of
from ganray.scaffold.looked import spread
from ganray.scaffold.parquet import first_samples
from ganray.scaffold.videos import FRAMES
from ganray.storage import ObjectStore

Kind = Literal["image", "sound", "video", "csv", "lines", "parquet"]

KINDS: dict[str, Kind] = {"image": "image", "sound": "sound", "video": "video"}  # of files
SUFFIXES: dict[str, Kind] = {
    ".parquet": "parquet",
    **dict.fromkeys((".csv", ".csv.gz", ".tsv", ".data"), "csv"),
    ".txt": "lines",
}
REMEDY = "name a folder or zip archive of images, sounds or videos, or .parquet, .csv or .txt files, or a folder of some"
MAX_ANIMATIONS = 8  # files that tell animations from images
MAX_SAMPLES = 8  # of a Parquet column, that tell its kind
MIN_CLIPS, MAX_CLIPS = 8, 12  # folders of frames that there have to be, and that are looked at
MOST = 0.9  # of the images, and of the folders, that have to be frames
MAX_STEP = 0.7  # of the difference of other images, that from one frame to the next; of images in no order it is about 1
SMALL = 16  # pixels, the sides of what frames are compared as


@dataclass(frozen=True)
class Form:
    """What a source is: its kind of samples, or rows or lines; whether Parquet files hold it; what to know of the choice."""

    kind: Kind
    is_parquet: bool = False
    notes: tuple[str, ...] = ()


@source_errors()
def find_form(path: str, storage: ObjectStore, wanted: str | None = None) -> Form:
    """Return what a source is: files of a kind, most of those that there are, or else of a table or of lines.

    `wanted` is the kind that the user says, of images, sounds or videos. Raises `DataError` for a path where there is nothing, or
    nothing of the kind, and `ConfigError` for rows or lines where the user wants another kind.
    """
    name, local = split_path(path)[1].partition("?")[0].lower(), None if is_remote(path) else Path(path)
    if local and not local.exists():
        raise DataError("PATH", f"{path} does not exist", REMEDY)
    by_name = next((form for suffix, form in SUFFIXES.items() if name.endswith(suffix)), None)
    if not by_name and local and local.is_file() and not is_archive(path):
        raise DataError("PATH", f"{path} is one file, and of no kind that samples are read from", REMEDY)
    if by_name:
        return _chosen(by_name, path, storage, wanted)
    tree = files_of(path, storage, "image")
    kind = _kind_of(tree) or _form_of(tree, path)
    return _with_clips(tree) if kind == "image" and not wanted else _chosen(kind, path, storage, wanted)


def _chosen(found: Kind, path: str, storage: ObjectStore, wanted: str | None) -> Form:
    """Return the form of what was found, or of the files of the kind that the user says."""
    if found == "parquet":
        return _parquet_form(path, storage, wanted)
    if wanted and found in ("csv", "lines"):
        problem = f"{path} holds {'rows' if found == 'csv' else 'lines'}, not {wanted}s"
        raise ConfigError("--kind", problem, "leave it out, or name a folder, zip archive or Parquet files")
    return Form(KINDS[wanted] if wanted else found)


def _parquet_form(path: str, storage: ObjectStore, wanted: str | None) -> Form:
    """Return the form of Parquet files: rows or texts, or a kind of encoded samples, by the first bytes of the first ones."""
    if not has_encoded(parquet_schema(path, storage)):
        if wanted:
            raise ConfigError("--kind", f"no column of {path} holds encoded {wanted}s", "leave it out")
        return Form("parquet", is_parquet=True)
    if wanted:
        return Form(KINDS[wanted], is_parquet=True)
    column, samples = first_samples(path, storage, MAX_SAMPLES)
    kind = _kind_of_bytes(samples)
    note = f"column {column} is taken for {kind}s, by its first bytes; `ganray init PATH --kind` says otherwise"
    return Form(kind, is_parquet=True, notes=() if kind == "image" else (note,))


def _kind_of_bytes(samples: list[bytes]) -> Kind:
    """Return the kind of most samples, by their first bytes; GIF and WebP files are videos if they move. Images where none is known."""
    counts: Counter[Kind] = Counter({"image": 0})
    for data in samples:
        head = data[:HEAD_BYTES]
        is_image = starts_as_image(head)
        if starts_as_video(head) and not (is_image and not _moves(data)):
            counts["video"] += 1
        elif is_image or starts_as_sound(head):
            counts["image" if is_image else "sound"] += 1
    return max(counts, key=lambda kind: counts[kind])


def _with_clips(tree: FileTree) -> Form:
    """Return whether images are the frames of videos: nearly all numbered without a gap, in many folders of similar length, and each like
    the next one of its folder, more than like a later one or those of other folders. Classes, whose images may be numbered, are not.
    """
    folders = list(frames_by_folder(tree).values())
    sizes = np.array([len(frames) for frames in folders])
    if len(folders) < MIN_CLIPS or sizes.sum() < MOST * len(select_samples(tree, FILE_KINDS["image"])[0]):
        return Form("image")
    is_similar = (sizes >= FRAMES) & (sizes <= 2 * np.median(sizes)) & (2 * sizes >= np.median(sizes))
    has_no_gap = [_span(frames) == len(frames) for frames in folders]
    if np.mean(is_similar & has_no_gap) < MOST:
        return Form("image")
    if _are_continuous(tree, folders):
        note = (
            "sub-folders of numbered images are taken for videos, whose frames they are; `ganray init PATH --kind image` takes each image"
        )
        return Form("video", notes=(note,))
    note = (
        "sub-folders of numbered images are taken for images: each hardly looks like the next; `ganray init PATH --kind video` for videos"
    )
    return Form("image", notes=(note,))


def _span(frames: list[SourceFile]) -> int:
    """Return how many numbers there are from the first to the last of a folder's images."""
    first, last = (number_of(frame.key) or 0 for frame in (frames[0], frames[-1]))
    return last - first + 1


def _are_continuous(tree: FileTree, folders: list[list[SourceFile]]) -> bool:
    """Whether an image looks like the next one of its folder, in the median of some folders, more than like others."""
    clips = [_thumbnails(tree, folders[index]) for index in spread(len(folders), MAX_CLIPS)]
    known = [clip for clip in clips if clip is not None]  # each [FRAMES, height, width]
    if 2 * len(known) <= len(clips) or len(known) < 2:
        return False
    steps = [np.abs(np.diff(clip, axis=0)).mean() for clip in known]
    later = [np.abs(clip[FRAMES // 2 :] - clip[: FRAMES // 2]).mean() for clip in known]
    others = [np.abs(clip[0] - other[0]).mean() for clip, other in pairwise(known)]
    return bool(np.median(steps) <= MAX_STEP * min(np.median(later), np.median(others)))


def _thumbnails(tree: FileTree, frames: list[SourceFile]) -> NDArray[np.float32] | None:
    """Return the first images of a folder, small and grey, None if one cannot be read or they are of different sizes."""
    found, sizes = [], set()
    for frame in frames[:FRAMES]:
        try:
            with Image.open(BytesIO(tree.reader.read(frame.address) or b"")) as image:
                sizes.add(image.size)
                found.append(np.asarray(image.convert("L").resize((SMALL, SMALL), Image.Resampling.BOX), np.float32))
        except Exception:  # Pillow's decoders raise nearly anything on broken files
            return None
    return np.stack(found) if len(sizes) == 1 and len(found) == FRAMES else None


def _kind_of(tree: FileTree) -> Kind | None:
    """Return the kind of most files of images, sounds or videos, None where there are none."""
    files = {kind: select_samples(tree, wanted)[0] for kind, wanted in FILE_KINDS.items()}
    counts = {kind: len(found) for kind, found in files.items()}
    if counts["video"] and counts["video"] == counts["image"]:  # GIF and WebP files, which are both
        chosen = [files["video"][index] for index in spread(counts["video"], MAX_ANIMATIONS)]
        moving = sum(_moves(tree.reader.read(file.address)) for file in chosen)
        counts["image"] -= 2 * moving > len(chosen)
    best = max(KINDS, key=lambda kind: counts[kind])
    return KINDS[best] if counts[best] else None


def _moves(data: bytes | None) -> bool:
    """Whether a file is an animation of several frames."""
    try:
        with Image.open(BytesIO(data or b"")) as image:
            return getattr(image, "n_frames", 1) > 1
    except Exception:  # Pillow's decoders raise nearly anything on broken files
        return False


def _form_of(tree: FileTree, path: str) -> Kind:
    names = [file.key.lower() for file in tree.files]
    for suffix in (".parquet", ".csv", ".txt"):  # those that sources find in folders
        if not is_archive(path) and any(name.endswith(suffix) for name in names):
            return SUFFIXES[suffix]
    if not names:
        raise DataError("PATH", f"there are no files in {path}", REMEDY)
    raise DataError("PATH", f"nothing to learn among the {plural(len(names), 'file')} in {path}, such as {tree.files[0].key}", REMEDY)


@source_errors()
def parquet_schema(path: str, storage: ObjectStore) -> pa.Schema:
    """Return the columns of Parquet files, as the first file has them. Raises `DataError` if there is none."""
    files = list_files(path, storage, suffix=".parquet")
    if not files.infos:
        raise DataError("PATH", f"there are no .parquet files in {path}", "name a file, or a folder or s3:// prefix that holds some")
    with opened(files.store, files.infos[0].key) as parquet:
        return parquet.schema_arrow


def has_encoded(schema: pa.Schema) -> bool:
    """Whether a column holds encoded images, or other files."""
    return any(image_problem(field.type, is_raw=False) is None for field in schema)
