"""Generated images as PNG files in a folder, or in a Parquet file."""

from collections.abc import Iterable
from pathlib import Path

from ganray.generation.record import Record
from ganray.modalities.codec import Codec, Samples
from ganray.modalities.image import encode_png
from ganray.storage.files import atomic_write


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
