"""Files of a kind in a folder or archive, their classes, and a look at some of them or all, evenly spread."""

from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Protocol, TypeVar

from ganray.config import FolderSource
from ganray.data.card import SkippedSample
from ganray.data.sources.archive import archive_files, is_archive
from ganray.data.sources.files import FileTree, SourceFile, folder_files
from ganray.data.sources.folder import select_samples
from ganray.data.sources.labels import DATASET_JSON, find_labels
from ganray.data.sources.rows import UNLABELLED, source_errors
from ganray.errors import DataError
from ganray.modalities.formats import FILE_KINDS
from ganray.scaffold.draft import Classes
from ganray.storage import ObjectStore

THREADS = 8

Progress = Callable[[int, int], None]
Content = tuple[str, bytes | None, str | None]  # of a file: its name, its bytes, and why there are none


class Look(Protocol):
    """What a look at a sample found; `problem` is why it cannot be decoded."""

    @property
    def problem(self) -> str | None:
        """Why it cannot be decoded, None if it can."""


L = TypeVar("L", bound=Look)


@dataclass(frozen=True)
class Files:
    """The files of a kind, and how many others there are."""

    source: FolderSource
    tree: FileTree
    files: list[SourceFile]
    classes: Classes
    left_out: int
    notes: list[str]


def files_of(path: str, storage: ObjectStore, kind: str) -> FileTree:
    """List a folder or zip archive, local or on s3://."""
    return (archive_files(path, FILE_KINDS[kind]) if is_archive(path) else None) or folder_files(path, storage)


@source_errors()
def list_kind(path: str, storage: ObjectStore, kind: str) -> Files:
    """List the files of a kind in a folder or archive, with their classes. Raises `DataError` if there are none."""
    source, tree = FolderSource(path=path), files_of(path, storage, kind)
    files, others = select_samples(tree, FILE_KINDS[kind])
    if not files:
        noun = FILE_KINDS[kind].noun
        raise DataError("PATH", f"there are no {noun}s in {path}", f"name a folder, zip archive or s3:// prefix with {noun}s")
    label_file = next((tree.reader.read(file.address) for file in tree.files if file.key == DATASET_JSON), None)
    labels, _ = find_labels([file.key for file in files], source.labels, label_file)
    counts = Counter(labels.numbers)
    classes = Classes({name: counts[number] for number, name in enumerate(labels.classes or [])}, counts[UNLABELLED])
    return Files(source, tree, files, classes, len(tree.left_out) + len(others), labels.messages)


def look_at_files(
    found: Files, look: Callable[[bytes | None, str | None], L], *, most: int, progress: Progress | None
) -> tuple[list[L], list[SkippedSample]]:
    """Return a look at each of at most `most` files, and those that cannot be decoded by name."""
    reader, chosen = found.tree.reader, [found.files[index] for index in spread(len(found.files), most)]
    contents = ((file.key, reader.read(file.address), reader.lost) for file in chosen)
    return look_at_each(contents, look, total=len(chosen), progress=progress)


def look_at_each(
    contents: Iterable[Content], look: Callable[[bytes | None, str | None], L], *, total: int, progress: Progress | None
) -> tuple[list[L], list[SkippedSample]]:
    """Return a look at each sample, and those that cannot be decoded by name; a few of them at a time are in memory."""
    looks, broken, remaining = list[L](), list[SkippedSample](), iter(contents)
    with ThreadPoolExecutor(THREADS) as threads:
        while batch := list(islice(remaining, 4 * THREADS)):
            found = threads.map(lambda content: look(content[1], content[2]), batch)
            for (name, _, _), one in zip(batch, found, strict=True):
                looks.append(one)
                if one.problem is not None:
                    broken.append(SkippedSample(name=name, reason=one.problem))
            if progress:
                progress(len(looks), total)
    return looks, broken


def spread(count: int, most: int) -> list[int]:
    """Return the indices of at most `most` of `count` things, evenly spread."""
    return list(range(count)) if count <= most else [index * count // most for index in range(most)]
