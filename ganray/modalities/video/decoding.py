"""Decoding videos: animations by Pillow, and what ffmpeg reads by PyAV, to the first frames of one shape."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ganray.errors import ConfigError, plural
from ganray.modalities.codec import UnreadableSample
from ganray.modalities.image import Target, fit_image
from ganray.modalities.video.formats import starts_as_animation
from ganray.modalities.video.frames import SIGNATURE, unpack_frames
from ganray.modalities.video.optional import pyav

MAX_PIXELS = 1 << 26  # of a frame
Clip = NDArray[np.uint8]  # [T, C, H, W]


@dataclass(frozen=True)
class ClipTarget:
    """What videos are made to: `frames` of `target`, every n-th of a file."""

    target: Target
    frames: int
    every: int = 1

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(frames, channels, height, width)."""
        return self.frames, *self.target.shape


def decode(data: bytes, clip: ClipTarget) -> Clip:
    """Decode a video file's first frames. Raises `UnreadableSample` for bytes that are no video, a damaged one, or too few frames."""
    frames = _frames(data, clip.target.bit_depth)
    try:
        wanted = itertools.islice(frames, 0, clip.frames * clip.every, clip.every)
        found = [fit_image(frame, clip.target) for frame in wanted]
    except (UnreadableSample, ConfigError):
        raise
    except Exception as error:  # Pillow's and ffmpeg's decoders raise nearly anything on broken files
        raise UnreadableSample(" ".join(str(error).split())[:200] or type(error).__name__) from error
    if len(found) < clip.frames:
        every = f" taken every {clip.every}" if clip.every > 1 else ""
        raise UnreadableSample(f"has {plural(len(found), 'frame')}{every}, fewer than {clip.frames}")
    return np.stack(found)


def _frames(data: bytes, bit_depth: int) -> Iterator[Image.Image]:
    """Return the frames of an animation, of a folder of images, or of a stream."""
    if data.startswith(SIGNATURE):
        return unpack_frames(data, bit_depth)
    return _animation(data) if starts_as_animation(data[:32]) else _stream(data)


def _animation(data: bytes) -> Iterator[Image.Image]:
    """Yield the frames of a GIF, WebP or PNG."""
    with Image.open(BytesIO(data)) as image:
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            yield image.convert("RGBA")


def _stream(data: bytes) -> Iterator[Image.Image]:
    """Yield the frames of the first video stream of a file."""
    av = pyav("data.modality.kind")
    try:
        with av.open(BytesIO(data)) as container:
            if not container.streams.video:
                raise UnreadableSample("holds no video")
            for frame in container.decode(video=0):
                if frame.width * frame.height > MAX_PIXELS:
                    raise UnreadableSample(f"has frames of {frame.width} x {frame.height} pixels")
                yield frame.to_image()
    except av.FFmpegError as error:
        raise UnreadableSample(str(error.strerror or type(error).__name__)[:200]) from None
