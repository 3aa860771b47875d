"""A survey of a source of images: how many, of which classes, sizes and modes, and what is broken, by a look at some or all of them."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from ganray.config import FolderSource, ParquetSource
from ganray.data.card import SkippedSample
from ganray.data.sources.archive import archive_files, is_archive
from ganray.data.sources.files import folder_files
from ganray.data.sources.folder import select_samples
from ganray.data.sources.labels import DATASET_JSON, find_labels
from ganray.data.sources.parquet import parquet_rows
from ganray.data.sources.parquet_footer import read_footers
from ganray.data.sources.parquet_samples import SampleColumn
from ganray.data.sources.rows import UNLABELLED, list_files, source_errors
from ganray.errors import ConfigError, DataError
from ganray.modalities.formats import FILE_KINDS
from ganray.scaffold.columns import find_columns
from ganray.scaffold.image_look import Look, look_at
from ganray.storage import ObjectStore

IMAGES = FILE_KINDS["image"]
MAX_LOOKS = 2000  # images that are decoded, evenly spread over the source
THREADS = 8
MAX_SYMMETRY = 4.5  # standard errors by which a mean image may differ from its mirror image, over 128 places

Progress = Callable[[int, int], None]
Images = Iterable[tuple[str, bytes | None, str | None]]  # name, content, and why there is none


@dataclass(frozen=True)
class Survey:
    """What a source is. `class_counts` has every class with its number of images, {} without classes; `unlabelled` have none.

    `looks` are at some of its images, or all; `broken` names those of them that cannot be decoded.
    """

    source: FolderSource | ParquetSource
    count: int
    class_counts: dict[str, int]
    unlabelled: int
    left_out: int
    looks: list[Look]
    broken: list[SkippedSample]
    notes: list[str]

    @property
    def whole(self) -> list[Look]:
        """The looks at images that can be decoded."""
        return [look for look in self.looks if look.problem is None]

    @property
    def sides(self) -> tuple[int, int]:
        """Median height and width in pixels."""
        return tuple(int(np.median([getattr(look, side) for look in self.whole])) for side in ("height", "width"))  # type: ignore[return-value]

    @property
    def bad_fraction(self) -> float:
        """The fraction of images that cannot be decoded, of those that were looked at."""
        return len(self.broken) / len(self.looks)

    @property
    def grey_fraction(self) -> float:
        """The fraction of images without colours."""
        return float(np.mean([look.is_grey for look in self.whole]))

    @property
    def transparent_fraction(self) -> float:
        """The fraction of images of which something can be seen through."""
        return float(np.mean([look.is_transparent for look in self.whole]))

    @property
    def repeats(self) -> int:
        """How many of the images that were looked at are the same file as an earlier one."""
        return len(self.whole) - len({look.digest for look in self.whole})

    @property
    def peak(self) -> int | None:
        """The highest value of all images of more than 8 bits, None if there are none."""
        return max((look.peak for look in self.whole if look.peak is not None), default=None)

    @property
    def modes(self) -> dict[str, int]:
        """How many images have each of Pillow's modes."""
        return dict(Counter(look.mode for look in self.whole).most_common())

    def facts(self) -> dict[str, Any]:
        """Return what is known, by name and in reading order, as JSON types."""
        (height, width), counts = self.sides, self.class_counts.values()
        classes = f"{len(counts):,}, of {min(counts):,} to {max(counts):,} images" if counts else "none"
        return {
            "images": self.count,
            "looked at": len(self.looks),
            "cannot be decoded": len(self.broken),
            "same as others": self.repeats,
            "other files": self.left_out,
            "median size": f"{height} x {width}",
            "modes": ", ".join(f"{mode} {number:,}" for mode, number in self.modes.items()),
            "classes": classes + (f", {self.unlabelled:,} images without" if counts and self.unlabelled else ""),
        }

    @property
    def is_symmetric(self) -> bool:
        """Whether images may be mirrored left to right, as far as their mean shows: it is its own mirror image, within its error."""
        images = np.stack([look.thumbnail for look in self.whole if look.thumbnail is not None])
        differences = (images - images[:, :, ::-1])[:, :, : images.shape[2] // 2]
        error = differences.std(0) / np.sqrt(len(images)) + 1e-6
        return len(images) > 1 and float(np.abs(differences.mean(0) / error).max()) <= MAX_SYMMETRY


def survey(path: str, storage: ObjectStore, progress: Progress | None = None) -> Survey:
    """Return a survey of a folder, zip archive or Parquet files, local or on s3://, without what lies in `storage`.

    Raises `DataError` for a source that is missing, or has no images that can be read.
    """
    found = _survey_parquet(path, storage, progress) if _is_parquet(path, storage) else _survey_files(path, storage, progress)
    if not found.whole:
        problem = f"none of the {len(found.looks):,} images of {path} that were looked at can be decoded ({found.broken[0].reason})"
        raise DataError("PATH", problem, "name a source of images that Pillow reads")
    return found


def _is_parquet(path: str, storage: ObjectStore) -> bool:
    """Whether a path is a Parquet file, or a folder that holds some and no images."""
    if path.endswith(".parquet"):
        return True
    if is_archive(path):
        return False
    tree = folder_files(path, storage)
    return any(file.key.endswith(".parquet") for file in tree.files) and not select_samples(tree, IMAGES)[0]


@source_errors()
def _survey_files(path: str, storage: ObjectStore, progress: Progress | None) -> Survey:
    source = FolderSource(path=path)
    tree = (archive_files(path, IMAGES) if is_archive(path) else None) or folder_files(path, storage)
    images, others = select_samples(tree, IMAGES)
    if not images:
        raise DataError("PATH", f"there are no images in {path}", "name a folder, zip archive, .parquet file or s3:// prefix with images")
    label_file = next((tree.reader.read(file.address) for file in tree.files if file.key == DATASET_JSON), None)
    labels, _ = find_labels([image.key for image in images], source.labels, label_file)
    counts = Counter(labels.numbers)
    chosen = [images[index] for index in spread(len(images))]
    looks, broken = _look(((file.key, tree.reader.read(file.address), tree.reader.lost) for file in chosen), len(chosen), progress)
    return Survey(
        source=source,
        count=len(images),
        class_counts={name: counts[number] for number, name in enumerate(labels.classes or [])},
        unlabelled=counts[UNLABELLED],
        left_out=len(tree.left_out) + len(others),
        looks=looks,
        broken=broken,
        notes=labels.messages,
    )


@source_errors()
def _survey_parquet(path: str, storage: ObjectStore, progress: Progress | None) -> Survey:
    files = list_files(path, storage, suffix=".parquet")
    source, notes = find_columns(files, path)
    samples = SampleColumn(source.column)
    footers = read_footers(files.store, [info.key for info in files.infos], source, samples)
    rows = parquet_rows(files.store, source, samples, footers)
    if rows.raw_shape is not None:
        raise ConfigError("PATH", f"column {source.column!r} of {path} holds raw pixels", "write a job with data.source.raw_shape")
    count, wanted = sum(group.rows for footer in footers for group in footer.groups), set(spread(sum(group.rows for group in rows.groups)))
    counts: Counter[int] = Counter()

    def chosen() -> Iterator[tuple[str, bytes | None, str | None]]:
        place = 0
        for group in rows.groups:
            for table in rows.read(group):
                counts.update(table["label"].to_pylist())
                for offset, row in enumerate(table.select(["name", "data", "reason"]).to_pylist()):
                    if place + offset in wanted:
                        yield row["name"], row["data"], row["reason"]
                place += table.num_rows

    looks, broken = _look(chosen(), len(wanted), progress)
    return Survey(
        source=source,
        count=count,
        class_counts={name: counts[number] for number, name in enumerate(rows.classes or [])},
        unlabelled=counts[UNLABELLED],
        left_out=0,
        looks=looks,
        broken=broken,
        notes=notes,
    )


def spread(count: int, most: int = MAX_LOOKS) -> list[int]:
    """Return the indices of at most `most` of `count` things, evenly spread."""
    return list(range(count)) if count <= most else [index * count // most for index in range(most)]


def _look(images: Images, total: int, progress: Progress | None) -> tuple[list[Look], list[SkippedSample]]:
    """Return a look at each image, and those that cannot be decoded by name; a few images at a time are in memory."""
    looks, broken, remaining = list[Look](), list[SkippedSample](), iter(images)
    with ThreadPoolExecutor(THREADS) as threads:
        while batch := list(islice(remaining, 4 * THREADS)):
            for (name, _, _), look in zip(batch, threads.map(_look_at, batch), strict=True):
                looks.append(look)
                if look.problem is not None:
                    broken.append(SkippedSample(name=name, reason=look.problem))
            if progress:
                progress(len(looks), total)
    return looks, broken


def _look_at(image: tuple[Any, bytes | None, str | None]) -> Look:
    return look_at(image[1], image[2])
