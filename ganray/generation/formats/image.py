"""Generated images as PNG files in a folder, or in a Parquet file; and samples of any kind as one PNG file."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ganray.errors import plural
from ganray.generation.formats.base import Answer, Difference, Format, Reading, distances
from ganray.generation.formats.file_column import FileColumn
from ganray.generation.record import Record
from ganray.modalities.codec import Codec, Samples
from ganray.modalities.image import Pixels, encode_png, pixels_of, read_png
from ganray.storage.files import atomic_write

MAX_GREY_LEVELS = 1  # by which machines may round differently


@dataclass(frozen=True)
class ImageContent:
    """Pixels uint8 [C, H, W], or [T, C, H, W] of an animation."""

    pixels: Pixels

    def difference(self, other: "ImageContent") -> Difference:
        """Return how far two images are from each other."""
        if self.pixels.shape != other.pixels.shape:
            return Difference(None, "grey level", is_small=False)
        largest = int(distances(self.pixels, other.pixels).max())
        return Difference(largest, "grey level", is_small=largest <= MAX_GREY_LEVELS)


def write_image_folder(out: Path, chunks: Iterable[Samples], record: Record, codec: Codec) -> None:
    """Write a PNG file a sample, named by index, each with its own record."""
    out.mkdir(parents=True, exist_ok=True)
    for index, image in enumerate(image for chunk in chunks for image in chunk):
        (out / f"{index:06d}.png").write_bytes(encode_png(image, record.of(index=index).texts()))


def write_image_parquet(out: Path, chunks: Iterable[Samples], record: Record, codec: Codec) -> None:
    """Write a Parquet file of `index` and `image`."""
    from ganray.generation.formats.image_parquet import write_parquet  # pyarrow takes a while to import

    with atomic_write(out) as file:
        write_parquet(file, chunks, record)


def write_preview(out: Path, chunks: Iterable[Samples], record: Record, codec: Codec) -> None:
    """Write all samples as one PNG file, as their codec shows them."""
    with atomic_write(out) as file:
        file.write(codec.preview(np.concatenate(list(chunks)), record.texts()))


def as_png(samples: Samples, record: Record, codec: Codec) -> bytes:
    """Return samples [N, ...] as a PNG file: one that is an image, or what their codec shows."""
    if codec.kind == "image" and record.num is None:
        return encode_png(samples[0], record.texts())
    return codec.preview(samples, record.texts())


def read_image(path: Path) -> tuple[ImageContent, Mapping[str, str]]:
    """Return a PNG file's pixels and its texts. Raises `UnreadableImage`."""
    pixels, texts = read_png(path)
    return ImageContent(pixels), texts


def shown(samples: Samples, codec: Codec, *, is_one: bool) -> ImageContent:
    """Return samples [N, ...] as pixels: one that is an image, or a preview of all."""
    if is_one and codec.kind == "image":
        pixels: Pixels = samples[0]
        return ImageContent(pixels)
    return ImageContent(pixels_of(codec.preview(samples)))


TOLERANCE = plural(MAX_GREY_LEVELS, "grey level")
READING = Reading(read_image, shown, "grey level", tolerance=TOLERANCE)
PARQUET = FileColumn("image", lambda png: ImageContent(pixels_of(png)), shown, "grey level", TOLERANCE)
PNG_ANSWER = Answer("image/png", as_png)
PNG = Format(write_preview, READING, is_sheet=True, answer=PNG_ANSWER)  # of any kind
FORMATS: Mapping[str, Format] = {".png": PNG, ".parquet": Format(write_image_parquet, PARQUET), "": Format(write_image_folder)}
