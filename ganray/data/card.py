"""The dataset card: what a prepared dataset is, where it came from, and what was left out of it."""

from functools import cached_property
from typing import Any

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer

from ganray.data.shard import SampleType
from ganray.modalities.codec import Codec
from ganray.modalities.codecs import codec_from_json
from ganray.modalities.image_codec import ImageCodec

FORMAT = 1  # raised whenever the same source and settings would be prepared differently
OF_IMAGES = ("channels", "height", "width", "filter", "background", "bit_depth", "premultiplied", "peak")  # fields of cards of images
OF_OTHERS = ("modality", "settings", "held_out")


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
    """Everything about a prepared dataset but its samples.

    `key` is the SHA-256 of the source's listing and the settings, `fingerprint` that of the samples and labels, in order.
    `classes` and `class_counts` are None for unlabelled data, whose labels are -1; a labelled dataset may have samples without
    a label, too. `skipped` are samples that could not be read, `unreadable_classes` how many of them are in each class that has no
    other, `left_out` the files of the source that are no samples. `duplicates` counts samples that equal an earlier one; None: nobody
    has counted.

    Images have `channels`, `height` and `width` in pixels, and how they were made to them: `peak` is the highest value of images with
    more than 8 bits, None if there are none, `premultiplied` whether they have transparency, and their colours were weighted by it when
    they were resized. Other kinds have `modality` instead, their codec as JSON, and the `settings` of the job that it was made by.
    `held_out` samples follow the `count` that are trained on, for scores.
    """

    format: int = FORMAT
    name: str
    key: str
    fingerprint: str
    count: int
    modality: dict[str, Any] | None = None
    settings: dict[str, Any] | None = None
    held_out: int = 0
    channels: int | None = None
    height: int | None = None
    width: int | None = None
    classes: list[str] | None
    class_counts: list[int] | None
    filter: str | None = None
    background: tuple[int, int, int] = (255, 255, 255)
    bit_depth: int = 16
    premultiplied: bool = False
    source: dict[str, Any]
    rows_per_shard: int
    shards: list[Shard]
    skipped: Skipped
    unreadable_classes: dict[str, int] = {}
    left_out: Skipped = Skipped()
    licence: str | None
    created_by: dict[str, str]
    duplicates: int | None = None
    peak: int | None = None

    @property
    def num_readable(self) -> int:
        """Samples that could be read, those that are held out included."""
        return self.count + self.held_out

    @property
    def num_distinct(self) -> int:
        """Samples that differ from one another, as far as they were compared."""
        return self.num_readable - (self.duplicates or 0)

    @property
    def num_classes(self) -> int:
        """Classes that have a sample."""
        return sum(count > 0 for count in self.class_counts or ())

    @property
    def kind(self) -> str:
        """The kind of the samples."""
        return self.codec.kind

    @cached_property
    def codec(self) -> Codec:
        """What the samples are, and how they are decoded."""
        if self.modality is not None:
            return codec_from_json(self.modality)
        return ImageCodec.of_shape((self.channels or 0, self.height or 0, self.width or 0))

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one sample."""
        return self.codec.shape

    @property
    def sample_type(self) -> SampleType:
        """Shape and type of one sample, as shards have it."""
        return SampleType(self.codec.shape, self.codec.dtype)

    @model_serializer(mode="wrap")
    def _without_fields_of_other_kinds(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        absent = OF_OTHERS if self.modality is None else OF_IMAGES
        return {name: value for name, value in dump(self).items() if name not in absent}
