"""Generated videos as lossless WebP animations or as MP4 files in a folder, in one animated grid, or in a Parquet file."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ganray.generation.formats.base import Difference, Format, Reading, distances, read_bytes
from ganray.generation.formats.file_column import FileColumn
from ganray.generation.formats.image import PNG, TOLERANCE, ImageContent
from ganray.generation.record import KEY, XMP, Record
from ganray.modalities.codec import Codec, Samples
from ganray.modalities.image import Pixels
from ganray.modalities.video.codec import DESCRIPTION, animation, read_webp, stream
from ganray.modalities.video.mp4 import check_encoder, read_mp4
from ganray.storage.files import atomic_write

HUB = "huggingface"  # key of the Hub's features in a schema's metadata, as JSON
NUMBERED_MP4 = "%06d.mp4"  # names the files of a folder, as ffmpeg names numbered files
# Grey levels by which the frames of two encoders differ that were given the same, or samples that machines round differently.
MAX_MEAN_LEVELS, MAX_LEVELS = 1.5, 12
MIN_SPREAD = 2 * MAX_MEAN_LEVELS  # mean distance from the mean, below which other videos are as near; theirs is 1.4 times as much


@dataclass(frozen=True)
class StreamContent:
    """Frames uint8 [T, 3, H, W] of a video that was encoded with losses, and the `spread` of what it shows, in grey levels."""

    frames: Pixels
    spread: float

    def difference(self, other: "StreamContent") -> Difference:
        """Return how far two videos are from each other: frames of one encoder are equal, those of two nearly so.

        A video that hardly varies is as near to others, so that only equal frames are the same, and near ones tell nothing.
        """
        if self.frames.shape != other.frames.shape:
            return Difference(None, "grey level", is_small=False)
        distance = distances(self.frames, other.frames)
        largest, is_near = int(distance.max()), bool(distance.mean() <= MAX_MEAN_LEVELS and distance.max() <= MAX_LEVELS)
        is_telling = not largest or not is_near or other.spread >= MIN_SPREAD
        return Difference(largest, "grey level", is_small=is_near and is_telling, is_telling=is_telling)


def write_video_folder(out: Path, chunks: Iterable[Samples], record: Record, codec: Codec) -> None:
    """Write a WebP file a sample, named by index, each with its own record."""
    out.mkdir(parents=True, exist_ok=True)
    for index, clip in enumerate(clip for chunk in chunks for clip in chunk):
        (out / f"{index:06d}.webp").write_bytes(webp(clip[None], record.of(index=index)))


def write_mp4_folder(out: Path, chunks: Iterable[Samples], record: Record, codec: Codec) -> None:
    """Write an MP4 file a sample, named by index, each with its own record, into the folder of `out`, which stands for their names."""
    check_encoder()  # before samples are generated
    out.parent.mkdir(parents=True, exist_ok=True)
    for index, clip in enumerate(clip for chunk in chunks for clip in chunk):
        out.with_name(f"{index:06d}.mp4").write_bytes(mp4(clip[None], record.of(index=index)))


def write_mp4_grid(out: Path, chunks: Iterable[Samples], record: Record, codec: Codec) -> None:
    """Write all samples as one MP4 file of their grid, which any player shows."""
    check_encoder()
    data = mp4(np.concatenate(list(chunks)), record)
    with atomic_write(out) as file:
        file.write(data)


def write_video_grid(out: Path, chunks: Iterable[Samples], record: Record, codec: Codec) -> None:
    """Write all samples as one animated grid, a WebP or, in 256 colours, a GIF file, by its suffix."""
    clips = np.concatenate(list(chunks))
    with atomic_write(out) as file:
        file.write(webp(clips, record) if out.suffix == ".webp" else animation(clips, "GIF", comment=record.to_json()))


def write_video_parquet(out: Path, chunks: Iterable[Samples], record: Record, codec: Codec) -> None:
    """Write a Parquet file of `index` and `video`, WebP files in the column that a source of kind parquet reads."""
    import pyarrow as pa  # takes a while to import
    import pyarrow.parquet as pq

    features = {"index": {"dtype": "int64", "_type": "Value"}, "video": {"_type": "Video"}}
    video, index = pa.struct([("bytes", pa.binary()), ("path", pa.string())]), 0
    metadata = {HUB: json.dumps({"info": {"features": features}}), KEY: record.to_json()}
    schema = pa.schema([("index", pa.int64()), ("video", video)], metadata=metadata)
    with atomic_write(out) as file, pq.ParquetWriter(file, schema, compression={"index": "zstd"}) as writer:
        for chunk in chunks:
            clips = [{"bytes": animation(clip[None], "WEBP"), "path": None} for clip in chunk]
            writer.write_table(pa.table([list(range(index, index + len(chunk))), clips], schema=schema))
            index += len(chunk)


def webp(clips: Samples, record: Record) -> bytes:
    """Return clips as a WebP file that has the record as its description, as ASCII, and XMP."""
    exif = Image.Exif()
    exif[DESCRIPTION] = json.dumps(json.loads(record.to_json()))
    return animation(clips, "WEBP", exif=exif.tobytes(), xmp=XMP.encode())


def mp4(clips: Samples, record: Record) -> bytes:
    """Return clips as an MP4 file that has the record as its comment, and XMP."""
    return stream(clips, comment=record.to_json(), xmp=XMP)


def read_animation(path: Path) -> tuple[ImageContent, Mapping[str, str]]:
    """Return the frames of a WebP file and its description. Raises `UnreadableSample`."""
    frames, description = read_webp(read_bytes(path))
    return ImageContent(frames), {KEY: description}


def animated(samples: Samples, codec: Codec, *, is_one: bool) -> ImageContent:
    """Return clips [N, T, C, H, W] as the frames of an animation, in colour: one, or a grid of all."""
    return ImageContent(read_webp(animation(samples[:1] if is_one else samples, "WEBP"))[0])


def read_stream(path: Path) -> tuple[StreamContent, Mapping[str, str]]:
    """Return the frames of an MP4 file and its comment. Raises `UnreadableSample`."""
    frames, comment = read_mp4(read_bytes(path))
    return StreamContent(frames, spread(frames[None])), {KEY: comment}


def streamed(samples: Samples, codec: Codec, *, is_one: bool) -> StreamContent:
    """Return clips [N, T, C, H, W] as the frames of an MP4 file: one, or a grid of all."""
    clips = samples[:1] if is_one else samples
    return StreamContent(read_mp4(stream(clips))[0], spread(clips))


def spread(clips: Samples) -> float:
    """Return the mean distance of the values of clips [N, T, C, H, W] from their channels' means, in grey levels."""
    means = clips.mean((0, 1, 3, 4), keepdims=True, dtype=np.float32)
    return float(np.abs(clips - means).mean())


PARQUET = FileColumn("video", lambda webp: ImageContent(read_webp(webp)[0]), animated, "grey level", TOLERANCE)
STREAM_TOLERANCE = f"{MAX_MEAN_LEVELS:g} grey levels on average and {MAX_LEVELS} anywhere, of videos that vary by more"
FORMATS: Mapping[str, Format] = {
    ".png": PNG,
    ".webp": Format(write_video_grid, Reading(read_animation, animated, "grey level", tolerance=TOLERANCE), is_sheet=True),
    ".gif": Format(write_video_grid, is_sheet=True),
    ".mp4": Format(write_mp4_grid, Reading(read_stream, streamed, "grey level", tolerance=STREAM_TOLERANCE), is_sheet=True),
    ".parquet": Format(write_video_parquet, PARQUET),
    "": Format(write_video_folder),
    NUMBERED_MP4: Format(write_mp4_folder),
}
