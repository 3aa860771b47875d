"""The codec of videos: uint8 [T, C, H, W] of any video file, or of raw frames."""

from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ganray.modalities.codec import Encoded, Samples, UnreadableSample, encode_each
from ganray.modalities.image import Pixels, Target, grid, grid_png, resize, to_image, to_pixels
from ganray.modalities.video.decoding import Clip, ClipTarget, decode
from ganray.modalities.video.mp4 import encode_mp4

NUM_STRIPS = 16  # clips that a preview shows
FRAME_MS = 125  # of an animation
MAX_FRAMES = 64
DESCRIPTION = 0x010E  # the Exif tag of an image's description (Exif 2.32, section 4.6.4)


@dataclass(frozen=True)
class VideoCodec:
    """Makes videos to `clip`. `raw_shape` is (frames, height, width, channels) of a source of raw frames, None for encoded videos."""

    clip: ClipTarget
    raw_shape: tuple[int, ...] | None = None

    kind = "video"
    dtype = "uint8"

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(frames, channels, height, width)."""
        return self.clip.shape

    @property
    def noun(self) -> str:
        """Frames, sides and colour."""
        frames, channels, height, width = self.shape
        return f"videos of {frames} {'grey' if channels <= 2 else 'colour'} frames of {height} x {width} pixels"

    def encode_batch(self, data: Any) -> Encoded:
        """Decode each file's bytes, or resize raw frames."""
        return encode_each(self.encode, data.to_pylist())

    def preview(self, samples: Samples, texts: Mapping[str, str] | None = None) -> bytes:
        """Return film strips of the first clips: a row a clip."""
        clips = samples[:NUM_STRIPS]
        return grid_png(clips.reshape(-1, *self.shape[1:]), texts, columns=self.shape[0])

    def to_json(self) -> dict[str, Any]:
        """Return the shape: frames need nothing else to be decoded."""
        return {"kind": self.kind, "shape": list(self.shape)}

    def encode(self, raw: bytes) -> Clip:
        """Decode a file, or resize raw frames. Raises `UnreadableSample`."""
        if self.raw_shape is None:
            return decode(raw, self.clip)
        if len(raw) != np.prod(self.raw_shape):
            raise UnreadableSample(f"has {len(raw)} bytes instead of {np.prod(self.raw_shape)}")
        frames = np.frombuffer(raw, np.uint8).reshape(self.raw_shape)[:: self.clip.every][: self.clip.frames]
        if len(frames) < self.clip.frames:
            raise UnreadableSample(f"has {len(frames)} frames, fewer than {self.clip.frames}")
        return np.stack([resize(frame, self.clip.target) for frame in frames])


def video_codec_from_json(data: Mapping[str, Any]) -> VideoCodec:
    """Return the codec that `to_json` described. Raises `ValueError` for anything else, which may come from outside."""
    shape = data.get("shape")
    if not isinstance(shape, list) or len(shape) != 4 or not all(type(side) is int for side in shape):
        raise ValueError("the shape of a video is [frames, channels, height, width]")
    if not (2 <= shape[0] <= 64 and 1 <= shape[1] <= 4 and all(1 <= side <= 4096 for side in shape[2:])):
        raise ValueError("a video has 2 to 64 frames of 1 to 4 channels")
    return VideoCodec(ClipTarget(Target((shape[1], shape[2], shape[3]), "lanczos"), shape[0]))


def animation(clips: NDArray[np.uint8], format: str, **options: Any) -> bytes:
    """Return clips [N, T, C, H, W] as an animated file, "WEBP" or "GIF", whose frames are their grids."""
    frames, buffer = _frames(clips), BytesIO()
    shown: list[Image.Image] = [frame.convert("RGB") if format == "WEBP" and frame.mode == "L" else frame for frame in frames]
    lossless = {"lossless": True, "minimize_size": False} if format == "WEBP" else {}
    shown[0].save(buffer, format, save_all=True, append_images=shown[1:], duration=FRAME_MS, loop=0, **lossless, **options)
    return buffer.getvalue()


def stream(clips: NDArray[np.uint8], *, comment: str = "", xmp: str = "") -> bytes:
    """Return clips [N, T, C, H, W] as an MP4 file, whose frames are their grids, with texts as its comment and as XMP.

    What is transparent is laid on white. Raises `ConfigError` where PyAV or its encoder is missing.
    """
    frames = np.stack([np.asarray(_opaque(frame)) for frame in _frames(clips)])
    return encode_mp4(frames, frame_ms=FRAME_MS, comment=comment, xmp=xmp)


def _frames(clips: NDArray[np.uint8]) -> list[Image.Image]:
    """Return each frame of one clip, or the grid of all clips' frames of each time."""
    return [grid(clips[:, time]) if len(clips) > 1 else to_image(clips[0, time]) for time in range(clips.shape[1])]


def _opaque(image: Image.Image) -> Image.Image:
    """Return an image as RGB on white."""
    if not image.has_transparency_data:
        return image.convert("RGB")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA")).convert("RGB")


def read_webp(data: bytes) -> tuple[Pixels, str]:
    """Return the frames uint8 [T, 3, H, W] of a WebP file and its description. Raises `UnreadableSample`."""
    try:
        with Image.open(BytesIO(data), formats=["WEBP"]) as image:
            count, frames = getattr(image, "n_frames", 1), []
            if count > MAX_FRAMES:
                raise UnreadableSample(f"has more than {MAX_FRAMES} frames")
            for number in range(count):
                image.seek(number)
                frames.append(to_pixels(image.convert("RGB")))
            return np.stack(frames), str(image.getexif().get(DESCRIPTION, ""))
    except (OSError, ValueError, SyntaxError) as error:
        raise UnreadableSample(" ".join(str(error).split())[:200]) from error
