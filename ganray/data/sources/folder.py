"""A folder or zip archive of images, sounds or videos, local or on s3://, labelled by its sub-folders, by a dataset.json or not at all."""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pyarrow as pa

from ganray.config import FolderSource
from ganray.data.card import SkippedSample
from ganray.data.sources.archive import SUFFIX, archive_files, is_archive
from ganray.data.sources.files import FileTree, Reader, SourceFile, folder_files, summary
from ganray.data.sources.frames import split_clips
from ganray.data.sources.labels import DATASET_JSON, FIELD, Labels, find_labels
from ganray.data.sources.rows import PATH_FIELD, Listing, Rows, cut_table, dataset_of, piece_size, row_table, source_errors
from ganray.errors import DataError, plural
from ganray.modalities.formats import FILE_KINDS, HEAD_BYTES, FileKind, extension
from ganray.storage import ObjectStore

READ_BATCH = 8  # files that a task has in memory, read concurrently
PIECE_ROWS = 256
HEAD_THREADS = 16
MAX_LABEL_BYTES = 1 << 28
ARCHIVE = "a zip archive, which is a source of its own"


@source_errors()
def list_folder(source: FolderSource, storage: ObjectStore | None = None, *, kind: str = "image", max_frames: int | None = None) -> Listing:
    """List the files of a kind in a folder and its sub-folders or in an archive, sorted by name, and say what else there is.

    What lies in `storage`, the job's, is never a sample. `max_frames` is how many frames of a video are needed: then a folder of numbered
    images is one, too. Raises `DataError` if there are no such files.
    """
    wanted = FILE_KINDS[kind]
    tree = (archive_files(source.path, wanted) if is_archive(source.path) else None) or folder_files(source.path, storage)
    tree, clips = split_clips(tree, max_frames) if max_frames else (tree, [])
    label_file = next((file for file in tree.files if file.key == DATASET_JSON), None)
    images, others = select_samples(tree, wanted)
    images = sorted([*images, *clips], key=lambda image: image.key)
    if not images:
        but = f", but {summary(tree.left_out + others)}" if tree.left_out or others else ""
        problem = f"there are no {wanted.noun}s in {source.path}{but}"
        raise DataError(PATH_FIELD, problem, f"name a folder, zip archive or s3:// prefix with {wanted.noun}s{_other_kind(others, wanted)}")
    labels, reason = find_labels([image.key for image in images], source.labels, _read_labels(tree.reader, label_file))
    left_out = tree.left_out + others
    if label_file and reason:
        left_out.append(SkippedSample(name=DATASET_JSON, reason=reason))
    messages = _messages(source.path, left_out, labels, num_clips=len(clips))
    known: dict[str, Any] = {"count": len(images), "classes": labels.classes, "is_labelled": labels.classes is not None}
    identity = [tree.uri, labels.classes, [[image.key, image.size, image.stamp] for image in images]]
    if labels.from_file:
        identity.append(hashlib.sha256(json.dumps(labels.numbers).encode()).hexdigest())
    return Listing(tree.name, identity, partial(_open, tree.reader, images, labels), left_out, messages, **known)


def select_samples(tree: FileTree, wanted: FileKind) -> tuple[list[SourceFile], list[SkippedSample]]:
    """Return the files that are of a kind, and the others, without a dataset.json, with the reasons."""
    reasons = list(zip(tree.files, _reasons(tree, wanted), strict=True))
    images = [file for file, reason in reasons if reason is None]
    return images, [SkippedSample(name=file.key, reason=reason) for file, reason in reasons if reason and file.key != DATASET_JSON]


def _other_kind(others: list[SkippedSample], wanted: FileKind) -> str:
    """Return as part of a remedy which other kind of sample most of a source's files are, "" if they are none."""
    counts = {kind: sum(extension(other.name) in files.extensions() for other in others) for kind, files in FILE_KINDS.items()}
    kind = max(counts, key=counts.__getitem__)
    return f", or set data.modality={kind} for the {FILE_KINDS[kind].noun}s" if counts[kind] and FILE_KINDS[kind] != wanted else ""


def _reasons(tree: FileTree, wanted: FileKind) -> list[str | None]:
    """Return for each file why it is not of a kind, None if it is: by its extension or, where it has none, by its first bytes."""
    suffixes = [extension(file.key) for file in tree.files]
    bare = [file.address for file, suffix in zip(tree.files, suffixes, strict=True) if not suffix]
    with ThreadPoolExecutor(HEAD_THREADS) as threads:
        heads = threads.map(partial(_head, tree.reader), bare)
        other_head = f"no {wanted.noun} by first bytes"
        return [_reason(suffix, wanted) if suffix else None if wanted.starts(next(heads)) else other_head for suffix in suffixes]


def _reason(suffix: str, wanted: FileKind) -> str | None:
    if suffix in wanted.extensions():
        return None
    return ARCHIVE if suffix == SUFFIX else f"no {wanted.noun} by extension"


@source_errors()
def _head(reader: Reader, address: bytes) -> bytes:
    return reader.head(address, HEAD_BYTES)


def _read_labels(reader: Reader, file: SourceFile | None) -> bytes | None:
    """Return the content of a dataset.json, None where there is none."""
    if file is None:
        return None
    if file.size > MAX_LABEL_BYTES:
        raise DataError(FIELD, f"{DATASET_JSON} has {file.size:,} bytes", f"use one of at most {MAX_LABEL_BYTES:,}")
    return reader.read(file.address)


def _messages(path: str, left_out: list[SkippedSample], labels: Labels, *, num_clips: int) -> list[str]:
    """Return what a source has beside its images, what of it is clips of frames, and what is to be known about classes."""
    clips = [f"{plural(num_clips, 'folder')} of numbered images, each of which is read as one video"] if num_clips else []
    others = [f"{plural(len(left_out), 'file')} left out: {summary(left_out)}"] if left_out else []
    return [f"{path}: {message}" for message in [*clips, *others, *labels.messages]]


def _open(reader: Reader, images: list[SourceFile], labels: Labels) -> Rows:
    size = piece_size(len(images), minimum=READ_BATCH, maximum=PIECE_ROWS)
    columns = [pa.array([image.key for image in images]), pa.array([image.address for image in images], pa.binary())]
    table = pa.table([*columns, pa.array(labels.numbers, pa.int32())], ["name", "address", "label"])
    dataset = dataset_of(cut_table(table, size)).map_batches(partial(_read, reader=reader), batch_size=READ_BATCH, batch_format="pyarrow")
    return Rows(dataset, len(images), classes=labels.classes)


def _read(batch: pa.Table, reader: Reader) -> pa.Table:
    """Replace the addresses in a batch by the files' bytes."""
    with ThreadPoolExecutor(READ_BATCH) as threads:
        data = list(threads.map(partial(_read_file, reader), batch["address"].to_pylist()))
    reasons = [reader.lost if content is None else None for content in data]
    return row_table(batch["name"].to_pylist(), data, batch["label"].combine_chunks(), reasons)


@source_errors()
def _read_file(reader: Reader, address: bytes) -> bytes | None:
    return reader.read(address)
