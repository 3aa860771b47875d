"""H.264 in MP4: frames as a file that any player shows, with texts in its metadata, and reading both back."""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganray.errors import ConfigError
from ganray.modalities.codec import UnreadableSample
from ganray.modalities.image import Pixels
from ganray.modalities.video.optional import pyav

FIELD = "--out"
ENCODER = "libx264"
OPTIONS = {"crf": "2", "preset": "medium"}  # x264's constant rate factor: 23 is its default, and 0, without loss, is not played by all
XMP_BOX = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")  # the type of XMP's uuid box (XMP Specification part 3, section 1.2.7.1)
MAX_FRAMES = 64
MAX_PIXELS = 1 << 26  # of a frame


def encode_mp4(frames: NDArray[np.uint8], *, frame_ms: int, comment: str = "", xmp: str = "") -> bytes:
    """Return frames [T, H, W, 3] as an MP4 file whose bytes are a function of them, with texts as its comment and as XMP.

    Odd sides are made even by repeating the last row or column, which colours at half the resolution need. Raises `ConfigError` where
    PyAV or its encoder of H.264 is missing.
    """
    av = check_encoder()
    even = np.pad(frames, ((0, 0), (0, frames.shape[1] % 2), (0, frames.shape[2] % 2), (0, 0)), mode="edge")
    buffer = BytesIO()
    with av.open(buffer, "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        if comment:
            container.metadata["comment"] = comment
        stream = _add_stream(av, container, even.shape[2], even.shape[1], Fraction(1000, frame_ms))
        for pixels in even:
            container.mux(stream.encode(_to_frame(av, pixels)))
        container.mux(stream.encode())
    return buffer.getvalue() + (_box(b"uuid", XMP_BOX + xmp.encode()) if xmp else b"")


def read_mp4(data: bytes) -> tuple[Pixels, str]:
    """Return the frames uint8 [T, 3, H, W] of an MP4 file and its comment. Raises `UnreadableSample`."""
    av = pyav("FILE")
    try:
        with av.open(BytesIO(data), format="mp4") as container:
            if not container.streams.video:
                raise UnreadableSample("holds no video")
            frames = [frame.to_ndarray(format="rgb24") for frame in _checked(container.decode(video=0))]
            comment = str(container.metadata.get("comment", ""))
    except av.FFmpegError as error:
        raise UnreadableSample(str(error.strerror or type(error).__name__)[:200]) from None
    if not frames:
        raise UnreadableSample("has no frames")
    return np.ascontiguousarray(np.stack(frames).transpose(0, 3, 1, 2)), comment


def check_encoder() -> Any:
    """Return the module av. Raises `ConfigError` where it, or its encoder of H.264, is missing."""
    av = pyav(FIELD)
    if ENCODER not in av.codecs_available:
        raise ConfigError(FIELD, f"PyAV is installed without {ENCODER}", "pip install 'ganray[video]', or name a .webp file")
    return av


def _add_stream(av: Any, container: Any, width: int, height: int, rate: Fraction) -> Any:
    """Add a stream of H.264 as players expect it: colours of ITU-R BT.601 at half the resolution, and one thread, whose number counts."""
    stream = container.add_stream(ENCODER, rate=rate, options=OPTIONS)
    stream.width, stream.height, stream.pix_fmt, stream.thread_count = width, height, "yuv420p", 1
    context = stream.codec_context
    context.colorspace = av.video.reformatter.Colorspace.ITU601
    context.color_range = av.video.reformatter.ColorRange.MPEG
    return stream


def _to_frame(av: Any, pixels: NDArray[np.uint8]) -> Any:
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
    return frame.reformat(format="yuv420p", dst_colorspace="ITU601", dst_color_range="MPEG")


def _checked(frames: Iterable[Any]) -> Iterator[Any]:
    """Pass frames on, as many and as large as a file of ganray's has. Raises `UnreadableSample` for others."""
    for number, frame in enumerate(frames):
        if number == MAX_FRAMES or frame.width * frame.height > MAX_PIXELS:
            raise UnreadableSample(f"has more than {MAX_FRAMES} frames, or larger ones than ganray writes")
        yield frame


def _box(name: bytes, content: bytes) -> bytes:
    return (len(content) + 8).to_bytes(4, "big") + name + content
