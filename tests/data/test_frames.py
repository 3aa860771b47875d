"""Folders of numbered images as videos: which are clips, in which order, of which classes, and what is decoded of them. Without Ray."""

import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganray.config import Data, FolderSource
from ganray.data.sources import list_source
from ganray.data.sources.archive import archive_files
from ganray.data.sources.files import folder_files
from ganray.data.sources.frames import split_clips
from ganray.data.sources.rows import Listing
from ganray.errors import DataError
from ganray.modalities.codec import UnreadableSample
from ganray.modalities.image import Target
from ganray.modalities.video.decoding import ClipTarget, decode
from ganray.modalities.video.frames import pack_frames

TARGET = ClipTarget(Target((1, 8, 8), "box"), frames=3)


def frame(grey: int, format: str = "PNG") -> bytes:
    buffer = BytesIO()
    Image.new("L", (8, 8), grey).save(buffer, format)
    return buffer.getvalue()


def written(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def listed(path: Path, **modality: int) -> Listing:
    return list_source(Data(source=FolderSource(path=str(path)), modality={"kind": "video", **modality}))


def keys(listing: Listing) -> list[str]:
    return [key for key, _, _ in listing.identity[2]]


FRAMES = {f"run/one/frame{number}.png": frame(number) for number in (2, 10, 1, 30)} | {
    f"walk/two/{number:04d}.jpg": frame(number * 8, "JPEG") for number in range(3)
}


def test_a_folder_of_numbered_images_is_a_clip_of_its_class(tmp_path: Path) -> None:
    gif = BytesIO()
    Image.new("L", (8, 8)).save(gif, "GIF")
    listing = listed(written(tmp_path, {**FRAMES, "walk/x.gif": gif.getvalue(), "walk/two/notes.txt": b"hello"}))
    assert keys(listing) == ["run/one", "walk/two", "walk/x.gif"]
    assert listing.classes == ["run", "walk"]
    assert [left.name for left in listing.left_out] == ["walk/two/notes.txt"]
    assert any("2 folders of numbered images, each of which is read as one video" in message for message in listing.messages)


def clips_of(path: Path) -> dict[str, bytes]:
    """Return the packed frames of each clip of a folder or an archive, three at most."""
    rest, clips = split_clips(archive_files(str(path)) or folder_files(str(path), None), max_frames=3)
    return {clip.key: rest.reader.read(clip.address) or b"" for clip in clips}


@pytest.mark.parametrize("name", ["clips", "clips.zip"])
def test_frames_are_read_in_the_order_of_their_numbers(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if name == "clips":
        written(path, FRAMES)
    else:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for key, content in FRAMES.items():
                archive.writestr(key, content)
    clips = clips_of(path)
    np.testing.assert_array_equal(decode(clips["run/one"], TARGET)[:, 0, 0, 0], [1, 2, 10])
    np.testing.assert_allclose(decode(clips["walk/two"], TARGET)[:, 0, 0, 0], [0, 8, 16], atol=2)
    with pytest.raises(UnreadableSample, match="has 2 frames taken every 2, fewer than 3"):
        decode(clips["run/one"], ClipTarget(TARGET.target, 3, every=2))


@pytest.mark.parametrize(
    "files",
    [
        {"a/1.png": frame(1), "a/2.png": frame(2), "a/cover.png": frame(3)},
        {"a/1.png": frame(1), "a/left1.png": frame(2)},
        {"a/1.png": frame(1)},
        {"1.png": frame(1), "2.png": frame(2)},
    ],
    ids=["one without a number", "two of one number", "one alone", "in no sub-folder"],
)
def test_other_images_are_no_clip_but_images(files: dict[str, bytes], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there are no videos in .* set data.modality=image for the images"):
        listed(written(tmp_path, files))


def test_a_changed_frame_is_other_data_and_one_that_is_lost_or_broken_is_an_unreadable_clip(tmp_path: Path) -> None:
    written(tmp_path, FRAMES)
    before = listed(tmp_path, frames=3).identity
    (tmp_path / "run/one/frame30.png").write_bytes(frame(99, "BMP"))
    assert listed(tmp_path, frames=3).identity == before, "the fourth frame is not read"
    (tmp_path / "run/one/frame2.png").write_bytes(frame(99, "BMP"))
    assert listed(tmp_path, frames=3).identity != before
    rest, clips = split_clips(folder_files(str(tmp_path), None), max_frames=3)
    (tmp_path / "run/one/frame2.png").unlink()
    assert rest.reader.read(clips[0].address) is None
    for data in (pack_frames([frame(0), b"no image", frame(0)]), pack_frames([frame(0)] * 3)[:-9]):
        with pytest.raises(UnreadableSample, match=r"cannot identify|cut off"):
            decode(data, TARGET)
