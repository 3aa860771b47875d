"""Files of a kind in a folder or archive, their classes, and a look at some of them or all, evenly spread."""

from collections import Counter
from collections.abc import Callable

from ganray.config import FolderSource
from ganray.data.sources.archive import archive_files, is_archive
from ganray.data.sources.files import FileTree, folder_files
from ganray.data.sources.folder import select_samples
from ganray.data.sources.frames import split_clips
from ganray.data.sources.labels import DATASET_JSON, find_labels
from ganray.data.sources.rows import UNLABELLED, source_errors
from ganray.errors import DataError
from ganray.modalities.formats import FILE_KINDS
from ganray.scaffold.draft import Classes
from ganray.scaffold.looked import L, Looked, Progress, look_at_each, spread
from ganray.storage import ObjectStore


def files_of(path: str, storage: ObjectStore, kind: str) -> FileTree:
    """List a folder or zip archive, local or on s3://."""
    return (archive_files(path, FILE_KINDS[kind]) if is_archive(path) else None) or folder_files(path, storage)


@source_errors()
def look_at_files(
    path: str,
    storage: ObjectStore,
    kind: str,
    look: Callable[[bytes | None, str | None], L],
    *,
    most: int,
    progress: Progress | None,
    max_frames: int | None = None,
) -> Looked[L]:
    """Look at `most` of the files of a kind in a folder or archive, or all. Raises `DataError` if there are none.

    With `max_frames`, of videos, a folder of numbered images is one, too.
    """
    source, tree = FolderSource(path=path), files_of(path, storage, kind)
    tree, clips = split_clips(tree, max_frames) if max_frames else (tree, [])
    files, others = select_samples(tree, FILE_KINDS[kind])
    files = sorted([*files, *clips], key=lambda file: file.key)
    if not files:
        noun = FILE_KINDS[kind].noun
        raise DataError("PATH", f"there are no {noun}s in {path}", f"name a folder, zip archive or s3:// prefix with {noun}s")
    label_file = next((tree.reader.read(file.address) for file in tree.files if file.key == DATASET_JSON), None)
    labels, _ = find_labels([file.key for file in files], source.labels, label_file)
    counts = Counter(labels.numbers)
    classes = Classes({name: counts[number] for number, name in enumerate(labels.classes or [])}, counts[UNLABELLED])
    chosen = [files[index] for index in spread(len(files), most)]
    contents = ((file.key, tree.reader.read(file.address), tree.reader.lost) for file in chosen)
    looks, broken = look_at_each(contents, look, total=len(chosen), progress=progress)
    return Looked(source, len(files), classes, len(tree.left_out) + len(others), looks, broken, labels.messages)
