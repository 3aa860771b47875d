"""Folders of numbered images as clips: the images of a sub-folder are the frames of one, in the order of their numbers."""

import hashlib
import json
import re
from dataclasses import dataclass
from typing import ClassVar

from ganray.data.sources.files import FileTree, Reader, SourceFile
from ganray.modalities.formats import extension, image_extensions
from ganray.modalities.video.formats import EXTENSIONS as VIDEO_EXTENSIONS
from ganray.modalities.video.frames import pack_frames

MIN_FRAMES = 2
MAX_DIGITS = 18  # of a frame's number


@dataclass(frozen=True)
class ClipReader:
    """Reads videos, and folders of frames as packed frames; an address is JSON, of the file's or those of the frames, in hexadecimal."""

    lost: ClassVar[str] = "has vanished since it was listed, or is damaged"
    reader: Reader

    def read(self, address: bytes) -> bytes | None:
        """Return a video file, or the packed frames of a folder, None if a file of it cannot be read any more."""
        found = json.loads(address)
        if isinstance(found, str):
            return self.reader.read(bytes.fromhex(found))
        frames = [self.reader.read(bytes.fromhex(frame)) for frame in found]
        whole = [frame for frame in frames if frame is not None]
        return pack_frames(whole) if len(whole) == len(frames) else None

    def head(self, address: bytes, num_bytes: int) -> bytes:
        """Return the first bytes of a video file, or of a folder's first frame."""
        found = json.loads(address)
        return self.reader.head(bytes.fromhex(found if isinstance(found, str) else found[0]), num_bytes)


def split_clips(tree: FileTree, max_frames: int) -> tuple[FileTree, list[SourceFile]]:
    """Return a tree without the frames of clips, and the clips: each sub-folder of numbered images, of which `max_frames` are read.

    Images are numbered if their names end in numbers, no two of a folder in the same one. Others stay in the tree.
    """
    clips = frames_by_folder(tree)
    merged = {frame.key for frames in clips.values() for frame in frames}
    files = [_plain(file) for file in tree.files if file.key not in merged]
    rest = FileTree(tree.name, tree.uri, ClipReader(tree.reader), files, tree.left_out)
    return rest, [_clip(folder, frames, max_frames) for folder, frames in clips.items()]


def frames_by_folder(tree: FileTree) -> dict[str, list[SourceFile]]:
    """Return the frames of each sub-folder of numbered images, in order."""
    folders: dict[str, list[SourceFile]] = {}
    for file in tree.files:
        folder = file.key.rpartition("/")[0]
        if folder and extension(file.key) in image_extensions() - VIDEO_EXTENSIONS:
            folders.setdefault(folder, []).append(file)
    return {folder: frames for folder, files in folders.items() if (frames := _in_order(files))}


def _in_order(images: list[SourceFile]) -> list[SourceFile]:
    """Return the images of a folder by their numbers, [] if they are no frames of one clip."""
    numbers = [number_of(image.key) for image in images]
    known = {number: image for number, image in zip(numbers, images, strict=True) if number is not None}
    return [known[number] for number in sorted(known)] if len(known) == len(images) >= MIN_FRAMES else []


def number_of(key: str) -> int | None:
    """Return the number that the name of a file ends in, before its extension."""
    found = re.search(r"(\d+)\.[^.]*$", key)
    return int(found[1]) if found and len(found[1]) <= MAX_DIGITS else None


def _plain(file: SourceFile) -> SourceFile:
    return SourceFile(file.key, file.size, file.stamp, json.dumps(file.address.hex()).encode())


def _clip(folder: str, frames: list[SourceFile], max_frames: int) -> SourceFile:
    read = frames[:max_frames]
    stamp = hashlib.sha256(json.dumps([[frame.key, frame.size, frame.stamp] for frame in read]).encode()).hexdigest()
    address = json.dumps([frame.address.hex() for frame in read]).encode()
    return SourceFile(folder, sum(frame.size for frame in read), stamp, address)
