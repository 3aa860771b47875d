"""Which files are samples of a kind: by the extension of their names, or by their first bytes where a name has none. None is decoded."""

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image

from ganray.modalities.sound.formats import EXTENSIONS as SOUND_EXTENSIONS
from ganray.modalities.sound.formats import starts_as_sound
from ganray.modalities.video.formats import EXTENSIONS as VIDEO_EXTENSIONS
from ganray.modalities.video.formats import starts_as_video

HEAD_BYTES = 32  # of a file, which tell its format
STUBS = {"BUFR", "GRIB", "HDF5", "MPEG", "WMF"}  # of Pillow's formats, those that it recognises and cannot read
# Photographs that Pillow reads only with a plug-in, or not at all: unreadable samples rather than files of another kind.
PHOTOGRAPHS = {".heic", ".heif", ".jxl", ".cr2", ".cr3", ".nef", ".arw", ".dng", ".orf", ".raf", ".rw2"}
SIGNATURES = (
    *(b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"8BPS\0\1", b"qoif", b"DDS "),
    *(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),  # TIFF and BigTIFF
    *(b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51", b"\0\0\0\x0cJXL \r\n\x87\n"),  # JPEG 2000 and JPEG XL
)
BRANDS = (b"avif", b"avis", b"heic", b"heix", b"mif1", b"msf1")  # of an ISO media file, those that hold images
BITMAP_HEADERS = (12, 40, 52, 56, 64, 108, 124)  # sizes in bytes, which follow 14 bytes that begin with "BM"


def extension(name: str) -> str:
    """Return a file name's extension in lower case, a dot and a letter first, "" if it has none; `.0001` and `.jpg_large` are none."""
    found = re.search(r"[^./](\.[a-z][a-z0-9]*)$", name.lower())
    return found[1] if found else ""


@functools.cache
def image_extensions() -> frozenset[str]:
    """Return the extensions of images, those of Pillow's plug-ins included."""
    readable = {suffix for suffix, format in Image.registered_extensions().items() if format in Image.OPEN and format not in STUBS}
    return frozenset(readable | PHOTOGRAPHS)


def starts_as_image(head: bytes) -> bool:
    """Return whether a file that begins with `head`, its first `HEAD_BYTES` bytes, is an image."""
    if head.startswith(b"BM"):
        return int.from_bytes(head[14:18], "little") in BITMAP_HEADERS
    if head.startswith(b"RIFF"):
        return head[8:12] == b"WEBP"
    return head.startswith(SIGNATURES) or (head[4:8] == b"ftyp" and head[8:12] in BRANDS)


@dataclass(frozen=True)
class FileKind:
    """A kind of file: what one is called, its extensions, and whether the first bytes of a file are of it."""

    noun: str
    extensions: Callable[[], frozenset[str]]
    starts: Callable[[bytes], bool]


FILE_KINDS = {
    "image": FileKind("image", image_extensions, starts_as_image),
    "sound": FileKind("sound", lambda: SOUND_EXTENSIONS, starts_as_sound),
    "video": FileKind("video", lambda: VIDEO_EXTENSIONS, starts_as_video),
}
