"""The `data` section: the source of the samples, their kind, and what they are prepared to."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from ganray.config.compatibility import check_parquet_fields, check_pixel_fields, check_source
from ganray.config.fields import FieldError, Integer, Name, Place, PositiveCount, Real, Section, Text, kind_or
from ganray.config.modalities import ImageModality, Modality

Byte = Annotated[Integer, Field(ge=0, le=255)]
BitDepth = Annotated[PositiveCount, Field(le=16)]
COLOURS = {"white": (255, 255, 255), "black": (0, 0, 0), "grey": (128, 128, 128)}


class FashionMnistSource(Section):
    """Zalando's Fashion-MNIST (MIT). The 10,000 of `split: test` ship with ganray."""

    kind: Literal["fashion-mnist"] = "fashion-mnist"
    split: Literal["train", "test"] = Field("train", description="train: 60,000 images; test: the 10,000 that ship with ganray")
    path: Place | None = Field(
        None,
        description="folder or s3:// prefix with the four IDX files (gzipped or not); "
        "null: the Debian package's folder, else a download checked against a pinned SHA-256",
    )


class FolderSource(Section):
    """A folder or zip archive of images in any format that Pillow opens, or of sounds or videos; sub-folders included.

    Of videos, a sub-folder of numbered images is one, too.
    """

    kind: Literal["folder"] = "folder"
    path: Place = Field(description="folder or .zip archive, local or on s3://")
    labels: Literal["auto", "folders", "dataset.json", "none"] = Field(
        "auto",
        description="folders: the first sub-folder's name is the class; dataset.json: StyleGAN's file of labels; "
        "auto: dataset.json if there is one, else folders if every image lies in one",
    )


class LinesSource(Section):
    """Text files in UTF-8, of which each line is a sample; empty lines are none."""

    kind: Literal["lines"] = "lines"
    path: Place = Field(description="a .txt file, or a folder of some, local or on s3://")
    labels: Literal["files", "none"] = Field("none", description="files: the name of each file is the class of its lines")


class ParquetSource(Section):
    """Parquet files: rows of a table, or a column of encoded images, raw pixels, encoded sounds or videos, or texts."""

    kind: Literal["parquet"] = "parquet"
    path: Place = Field(description="local file or folder, or s3:// prefix")
    column: Text = Field(
        "image", description="column with the image, sound (default: audio) or text (default: text); of a struct, its `bytes` field"
    )
    label_column: Text | None = Field(
        None, description="column with the class (integer or text); null: unlabelled, as are rows with null, or -1 of the Hub's ClassLabel"
    )
    raw_shape: tuple[PositiveCount, PositiveCount, PositiveCount] | None = Field(
        None, description="[height, width, channels] of raw uint8 pixels; null: the column holds encoded images"
    )
    raw_layout: Literal["auto", "channels-last", "channels-first"] = Field(
        "auto",
        description="order of raw pixels in plain bytes, as lists of lists and tensors state it themselves; "
        "auto: channels last, but first in Parquet files that ganray generated",
    )


class MovingSource(Section):
    """Clips of Fashion-MNIST's garments, half as large, that move over a black square of 32 pixels and bounce off its sides.

    Direction and speed are uniformly distributed and a function of a clip's number, so that what a generator learns of them can be told.
    """

    kind: Literal["moving"] = "moving"
    split: Literal["train", "test"] = Field("test", description="train: 60,000 garments; test: the 10,000 that ship with ganray")
    path: Place | None = Field(None, description="where the split is looked for, as in the source fashion-mnist")


class CsvSource(Section):
    """CSV files of one form: rows of a table, columns separated by commas, semicolons, tabs or bars, gzipped or not."""

    kind: Literal["csv"] = "csv"
    path: Place = Field(description="file, or folder or s3:// prefix of .csv files")
    names: list[Text] | None = Field(None, description="the columns' names, in order; null: those of the first line")
    header: bool | None = Field(None, description="whether the first line has names, no values; null: yes, unless `names` are given")
    delimiter: Literal[",", ";", "\t", "|"] | None = Field(None, description="what separates columns; null: found from the first lines")
    encoding: Text = Field("utf-8", description="of the text, such as latin-1 or cp1252; a byte order mark is passed over")

    @property
    def has_header(self) -> bool:
        """Whether the first line has names."""
        return self.names is None if self.header is None else self.header

    @model_validator(mode="after")
    def _has_names(self) -> "CsvSource":
        if self.names is None and not self.has_header:
            raise FieldError("is false, and there are no names", "name the columns in `names`, in order", field="header")
        return self


Source = Annotated[
    FashionMnistSource | FolderSource | ParquetSource | LinesSource | MovingSource | CsvSource,
    Field(discriminator="kind"),
    kind_or("fashion-mnist"),
]


class Data(Section):
    """The training data: raw samples of a source, prepared once into shards of arrays of one shape and type."""

    source: Source = Field(FashionMnistSource(), description="where the samples come from")
    modality: Modality = Field(ImageModality(), description="the kind of sample that is learned and generated")
    name: Name | None = Field(None, description="name of the prepared dataset; null: from the source")
    resolution: PositiveCount | tuple[PositiveCount, PositiveCount] = Field(32, description="pixels: one side, or [height, width]")
    channels: Literal[1, 2, 3, 4] = Field(3, description="1 grey, 2 grey with alpha, 3 RGB, 4 RGB with alpha")
    filter: Literal["lanczos", "bicubic", "bilinear", "box"] = Field("lanczos", description="resize filter, always antialiased")
    background: Literal["white", "black", "grey"] | tuple[Byte, Byte, Byte] = Field(
        "white", description="colour that transparency is laid on for 1 or 3 channels; or [red, green, blue], 0 to 255"
    )
    bit_depth: BitDepth = Field(16, description="bits that 16-bit images use, such as 12: white is 2^bit_depth - 1; others are as they are")
    mode: Literal["auto", "resident", "streaming"] = Field(
        "auto", description="resident: loaded into each node's object store; streaming: read as needed; auto: by size"
    )
    resident_limit_mb: PositiveCount = Field(4096, description="MB of prepared samples up to which `auto` means resident")
    shuffle_window: PositiveCount = Field(4, description="shards that streaming shuffles together (a shard holds up to 16 MB of samples)")
    max_bad_fraction: Real = Field(0.001, ge=0, le=1, description="fraction of unreadable samples that is tolerated, 0 to 1")

    @model_validator(mode="after")
    def _goes_together(self) -> "Data":
        check_source(self.modality.kind, self.source.kind)
        check_pixel_fields(self.modality.kind, self)
        if isinstance(self.source, ParquetSource):
            check_parquet_fields(self.modality.kind, self.source)
        return self

    @property
    def has_alpha(self) -> bool:
        """Whether samples have a channel for transparency."""
        return self.channels in (2, 4)

    @property
    def background_rgb(self) -> tuple[int, int, int]:
        """Red, green and blue of the background."""
        return COLOURS[self.background] if isinstance(self.background, str) else self.background

    @property
    def height(self) -> int:
        """Height of an image in pixels."""
        return self.resolution if isinstance(self.resolution, int) else self.resolution[0]

    @property
    def width(self) -> int:
        """Width of an image in pixels."""
        return self.resolution if isinstance(self.resolution, int) else self.resolution[1]

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of an image, or of a frame."""
        return self.channels, self.height, self.width
