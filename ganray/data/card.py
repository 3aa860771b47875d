"""The dataset card: what a prepared dataset is, where it came from, and what was left out of it."""

from typing import Any

from pydantic import BaseModel, ConfigDict

FORMAT = 1  # raised whenever the same source and settings would be prepared differently


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)  # cards that other versions wrote may have more fields


class SkippedSample(_Part):
    """A sample that could not be read, or a file of the source that is no sample, and why."""

    name: str
    reason: str


class Skipped(_Part):
    """How many samples or files were left out, and the first of them, with the reasons."""

    count: int = 0
    examples: list[SkippedSample] = []


class Shard(_Part):
    """A shard of the dataset: its file's name in the dataset's folder, its number of rows, and the SHA-256 of the file."""

    file: str
    rows: int
    sha256: str


class DatasetCard(_Part):
    """Everything about a prepared dataset but its pixels.

    `key` is the SHA-256 of the source's listing and the settings, `fingerprint` that of the pixels and labels, in order.
    `classes` and `class_counts` are None for unlabelled data, whose labels are -1; a labelled dataset may have samples without
    a label, too. `height` and `width` are in pixels. `skipped` are samples that could not be read, `left_out` the files of the source
    that are no samples. `duplicates` counts samples whose pixels are those of an earlier one; None: nobody has counted. `peak` is the
    highest value of images with more than 8 bits, None if there are none. `premultiplied` is whether they have transparency, and
    their colours were weighted by it when they were resized.
    """

    format: int = FORMAT
    name: str
    key: str
    fingerprint: str
    count: int
    channels: int
    height: int
    width: int
    classes: list[str] | None
    class_counts: list[int] | None
    filter: str
    background: tuple[int, int, int] = (255, 255, 255)
    bit_depth: int = 16
    premultiplied: bool = False
    source: dict[str, Any]
    rows_per_shard: int
    shards: list[Shard]
    skipped: Skipped
    left_out: Skipped = Skipped()
    licence: str | None
    created_by: dict[str, str]
    duplicates: int | None = None
    peak: int | None = None

    @property
    def num_distinct(self) -> int:
        """Samples that differ from one another, as far as they were compared."""
        return self.count - (self.duplicates or 0)

    @property
    def num_classes(self) -> int:
        """Classes that have a sample."""
        return sum(count > 0 for count in self.class_counts or ())

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of one sample."""
        return self.channels, self.height, self.width
