"""A look at the videos of a folder or archive, and a job for them with the recipe of `jobs/moving.yaml`."""

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image

from ganray.errors import DataError
from ganray.modalities.codec import UnreadableSample
from ganray.modalities.image import Target
from ganray.modalities.video.decoding import ClipTarget, decode
from ganray.modalities.video.formats import starts_as_animation
from ganray.modalities.video.optional import pyav
from ganray.scaffold.draft import Draft, Entry, Machine, bad_fraction, run_entries, shipped
from ganray.scaffold.files import Files, Progress, list_kind, look_at_files
from ganray.storage import ObjectStore

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
    if starts_as_animation(data[:32]):
        with Image.open(BytesIO(data)) as image:
            return image.size
    with pyav("data.modality.kind").open(BytesIO(data)) as container:
        stream = container.streams.video[0]
        return stream.width, stream.height


def draft_videos(path: str, store: ObjectStore, machine: Machine, *, name: str, storage: str, progress: Progress | None) -> Draft:
    """Return a job for the videos of a folder or zip archive. Raises `DataError` if there are none that can be used."""
    found = list_kind(path, store, "video")
    looks, broken = look_at_files(found, look_at_video, most=MAX_LOOKS, progress=progress)
    whole = [look for look in looks if look.problem is None]
    if not whole:
        problem = f"none of the {len(looks):,} videos of {path} that were looked at can be used (the first {broken[0].reason})"
        raise DataError("PATH", problem, f"name a source of GIF, WebP, mp4, avi or other files of {FRAMES} frames or more")
    height, width = (int(np.median([getattr(look, side) for look in whole])) for side in ("height", "width"))
    is_grey = all(look.is_grey for look in whole)
    entries = [*run_entries(machine, name, storage), *_data(found, (height, width), machine, is_grey=is_grey)]
    entries += [*bad_fraction(broken, len(looks)), *_recipe(found), Entry("publish.model", name)]
    facts = {
        "videos": len(found.files),
        "looked at": len(looks),
        "cannot be used": len(broken),
        "other files": found.left_out,
        "median size": f"{height} x {width}",
        "colours": "none" if is_grey else "yes",
        "classes": found.classes.summary("video"),
    }
    return Draft(entries, facts, f"{len(looks):,} of {len(found.files):,} videos", found.notes)


def _data(found: Files, sides: tuple[int, int], machine: Machine, *, is_grey: bool) -> Iterator[Entry]:
    most = MAX_SIDE_GPU if machine.gpus else MAX_SIDE_CPU
    side = max(number for number in SIDES if number <= max(min(*sides, most), SIDES[0]))
    yield Entry("data.source", {"kind": "folder", "path": found.source.path}, f"{len(found.files):,} videos")
    yield Entry("data.modality", {"kind": "video", "frames": FRAMES, "every": 1}, "the first frames of each; every: 2 takes every second")
    yield Entry("data.resolution", side, f"half of the videos are at least {sides[0]} x {sides[1]}; more takes much longer")
    yield Entry("data.channels", 1 if is_grey else 3, "no video has colours" if is_grey else "")


def _recipe(found: Files) -> Iterator[Entry]:
    replaced = {
        "networks.conditional": found.classes.conditional("video"),
        "train.total_images": (None, "clips seen, repeats included; more is better"),
    }
    return shipped(JOB, replaced, left_out=() if found.classes.counts else ("evaluate.extractor",))
