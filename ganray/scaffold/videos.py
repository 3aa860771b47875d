"""A look at videos, and a job for them with the recipe of `jobs/moving.yaml`."""

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image

from ganray.modalities.codec import UnreadableSample
from ganray.modalities.image import Target
from ganray.modalities.video.decoding import ClipTarget, decode
from ganray.modalities.video.formats import starts_as_animation
from ganray.modalities.video.frames import SIGNATURE, unpack_frames
from ganray.modalities.video.optional import pyav
from ganray.scaffold.draft import Classes, Draft, Entry, Machine, shipped
from ganray.scaffold.looked import Looked, draft_looked

JOB = "moving.yaml"
MAX_LOOKS = 200  # videos that are decoded, evenly spread over the source
FRAMES = 8  # of a clip, as in the job
SIDES = (16, 24, 32, 48, 64, 96, 128)  # of frames, those that halve well
MAX_SIDE_CPU, MAX_SIDE_GPU = 32, 64  # pixels: beyond, that takes days
SMALL = (3, 16, 16)  # what is looked at, a frame of it
MAX_CHROMA = 8  # levels by which colours may differ in a frame that is grey


@dataclass(frozen=True)
class VideoLook:
    """What a look at a video found: the sides of its frames, and whether they have colours. `problem` is why it cannot be decoded."""

    width: int = 0
    height: int = 0
    is_grey: bool = False
    problem: str | None = None


def look_at_video(data: bytes | None, reason: str | None = None) -> VideoLook:
    """Return a look at a video file's first frames; `data` is None where it could not be read, for a `reason`."""
    if data is None:
        return VideoLook(problem=reason or "there is nothing to read")
    try:
        clip = decode(data, ClipTarget(Target(SMALL, "box"), FRAMES)).astype(np.int16)  # [T, 3, H, W]
    except UnreadableSample as error:
        return VideoLook(problem=str(error))
    width, height = _size(data)
    return VideoLook(width, height, bool(np.ptp(clip, axis=1).max() <= MAX_CHROMA))


def _size(data: bytes) -> tuple[int, int]:
    """Return the width and height of a video that was decoded."""
    if data.startswith(SIGNATURE):
        return next(unpack_frames(data, bit_depth=8)).size
    if starts_as_animation(data[:32]):
        with Image.open(BytesIO(data)) as image:
            return image.size
    with pyav("data.modality.kind").open(BytesIO(data)) as container:
        stream = container.streams.video[0]
        return stream.width, stream.height


def draft_videos(found: Looked[VideoLook], machine: Machine, *, name: str, storage: str) -> Draft:
    """Return a job for the videos of a source. Raises `DataError` if there are none that can be used."""
    whole = found.whole("video", f"name a source of GIF, WebP, mp4, avi or other files of {FRAMES} frames or more")
    height, width = (int(np.median([getattr(look, side) for look in whole])) for side in ("height", "width"))
    is_grey = all(look.is_grey for look in whole)
    facts = {"median size": f"{height} x {width}", "colours": "none" if is_grey else "yes"}
    sections = {"data": _data(found, (height, width), machine, is_grey=is_grey), "recipe": _recipe(found.classes)}
    return draft_looked(found, machine, "video", facts=facts, name=name, storage=storage, **sections)


def _data(found: Looked[VideoLook], sides: tuple[int, int], machine: Machine, *, is_grey: bool) -> Iterator[Entry]:
    most = MAX_SIDE_GPU if machine.gpus else MAX_SIDE_CPU
    side = max(number for number in SIDES if number <= max(min(*sides, most), SIDES[0]))
    yield found.source_entry("video")
    yield Entry("data.modality", {"kind": "video", "frames": FRAMES, "every": 1}, "the first frames of each; every: 2 takes every second")
    yield Entry("data.resolution", side, f"half of the videos are at least {sides[0]} x {sides[1]}; more takes much longer")
    yield Entry("data.channels", 1 if is_grey else 3, "no video has colours" if is_grey else "")


def _recipe(classes: Classes) -> Iterator[Entry]:
    replaced = {
        "networks.conditional": classes.conditional("video"),
        "train.total_images": (None, "clips seen, repeats included; more is better"),
    }
    return shipped(JOB, replaced, left_out=() if classes.counts else ("evaluate.extractor",))
