"""Frames as a file in memory: encoded images in a row, each behind its length, as a folder of numbered images is read."""

from collections.abc import Iterator, Sequence
from io import BytesIO

from PIL import Image

from ganray.modalities.codec import UnreadableSample
from ganray.modalities.deep import open_eight_bits

SIGNATURE = b"ganray frames\n"


def pack_frames(frames: Sequence[bytes]) -> bytes:
    """Return image files as one sequence of bytes."""
    return SIGNATURE + b"".join(len(frame).to_bytes(8, "little") + frame for frame in frames)


def unpack_frames(data: bytes, bit_depth: int) -> Iterator[Image.Image]:
    """Decode packed image files one after the other. Raises `UnreadableSample` for cut data, and whatever Pillow raises."""
    file = BytesIO(data[len(SIGNATURE) :])
    while head := file.read(8):
        frame = file.read(int.from_bytes(head, "little"))
        if len(frame) < int.from_bytes(head, "little"):
            raise UnreadableSample("has a frame that is cut off")
        yield open_eight_bits(frame, bit_depth)[0]
