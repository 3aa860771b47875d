"""A survey of a source of images: how many, of which classes, sizes and modes, and what is broken, by a look at some or all of them."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from ganray.config import FolderSource, ParquetSource
from ganray.data.card import SkippedSample
from ganray.scaffold.draft import Classes
from ganray.scaffold.files import look_at_files
from ganray.scaffold.image_look import Look, look_at
from ganray.scaffold.looked import Looked, Progress
from ganray.scaffold.parquet import look_at_parquet
from ganray.storage import ObjectStore

MAX_LOOKS = 2000  # images that are decoded, evenly spread over the source
MAX_SYMMETRY = 4.5  # standard errors by which a mean image may differ from its mirror image, over 128 places


@dataclass(frozen=True)
class Survey:
    """What a source is. `looks` are at some of its images, or all; `broken` names those of them that cannot be decoded."""

    source: FolderSource | ParquetSource
    count: int
    classes: Classes
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
        height, width = self.sides
        return {
            "images": self.count,
            "looked at": len(self.looks),
            "cannot be decoded": len(self.broken),
            "same as others": self.repeats,
            "other files": self.left_out,
            "median size": f"{height} x {width}",
            "modes": ", ".join(f"{mode} {number:,}" for mode, number in self.modes.items()),
            "classes": self.classes.summary("image"),
        }

    @property
    def is_symmetric(self) -> bool:
        """Whether images may be mirrored left to right, as far as their mean shows: it is its own mirror image, within its error."""
        images = np.stack([look.thumbnail for look in self.whole if look.thumbnail is not None])
        differences = (images - images[:, :, ::-1])[:, :, : images.shape[2] // 2]
        error = differences.std(0) / np.sqrt(len(images)) + 1e-6
        return len(images) > 1 and float(np.abs(differences.mean(0) / error).max()) <= MAX_SYMMETRY


def survey_files(path: str, storage: ObjectStore, progress: Progress | None = None) -> Survey:
    """Return a survey of the images of a folder or zip archive, local or on s3://, without what lies in `storage`.

    Raises `DataError` for a source that is missing, or has no images that can be read.
    """
    return _checked(look_at_files(path, storage, "image", look_at, most=MAX_LOOKS, progress=progress))


def survey_parquet(path: str, storage: ObjectStore, progress: Progress | None = None) -> Survey:
    """Return a survey of the images of Parquet files, as `survey_files` does."""
    return _checked(look_at_parquet(path, storage, look_at, most=MAX_LOOKS, progress=progress))


def _checked(found: Looked[Look]) -> Survey:
    """Return a survey. Raises `DataError` if no image can be decoded."""
    found.whole("image", "name a source of images that Pillow reads")
    return Survey(**vars(found))
