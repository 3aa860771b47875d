"""What a source holds: images, sounds, videos, texts or rows, by the names and first bytes of its files."""

from io import BytesIO
from pathlib import Path
from typing import Literal

import pyarrow as pa
from PIL import Image

from ganray.data.sources.archive import is_archive
from ganray.data.sources.files import FileTree
from ganray.data.sources.folder import select_samples
from ganray.data.sources.parquet_columns import image_problem
from ganray.data.sources.rows import is_remote, list_files, source_errors, split_path
from ganray.errors import DataError, plural
from ganray.modalities.formats import FILE_KINDS
from ganray.scaffold.columns import opened
from ganray.scaffold.files import files_of, spread
from ganray.storage import ObjectStore

Form = Literal["image", "sound", "video", "csv", "lines", "parquet"]

SUFFIXES: dict[str, Form] = {
    ".parquet": "parquet",
    **dict.fromkeys((".csv", ".csv.gz", ".tsv", ".data"), "csv"),
    ".txt": "lines",
}
REMEDY = "name a folder or zip archive of images, sounds or videos, or .parquet, .csv or .txt files, or a folder of some"
MAX_ANIMATIONS = 8  # files that tell animations from images


@source_errors()
def find_form(path: str, storage: ObjectStore) -> Form:
    """Return what a source is: files of a kind, most of those that there are, or else of a table or of lines.

    Raises `DataError` for a path where there is nothing, or nothing of the kind.
    """
    name, local = split_path(path)[1].partition("?")[0].lower(), None if is_remote(path) else Path(path)
    if local and not local.exists():
        raise DataError("PATH", f"{path} does not exist", REMEDY)
    if form := next((form for suffix, form in SUFFIXES.items() if name.endswith(suffix)), None):
        return form
    if local and local.is_file() and not is_archive(path):
        raise DataError("PATH", f"{path} is one file, and of no kind that samples are read from", REMEDY)
    tree = files_of(path, storage, "image")
    return _kind_of(tree) or _form_of(tree, path)


def _kind_of(tree: FileTree) -> Form | None:
    """Return the kind of most files of images, sounds or videos, None where there are none."""
    files = {kind: select_samples(tree, wanted)[0] for kind, wanted in FILE_KINDS.items()}
    counts = {kind: len(found) for kind, found in files.items()}
    if counts["video"] and counts["video"] == counts["image"]:  # GIF and WebP files, which are both
        chosen = [files["video"][index] for index in spread(counts["video"], MAX_ANIMATIONS)]
        moving = sum(_moves(tree.reader.read(file.address)) for file in chosen)
        counts["image"] -= 2 * moving > len(chosen)
    kinds: tuple[Form, ...] = ("image", "sound", "video")
    best = max(kinds, key=lambda kind: counts[kind])
    return best if counts[best] else None


def _moves(data: bytes | None) -> bool:
    """Whether a file is an animation of several frames."""
    try:
        with Image.open(BytesIO(data or b"")) as image:
            return getattr(image, "n_frames", 1) > 1
    except Exception:  # Pillow's decoders raise nearly anything on broken files
        return False


def _form_of(tree: FileTree, path: str) -> Form:
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
