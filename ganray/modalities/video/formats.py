"""Which files are videos: by the extension of their names, or by their first bytes where a name has none. No file is decoded."""

ANIMATIONS = frozenset((".gif", ".webp", ".apng"))
STREAMS = frozenset((".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".ogv", ".wmv", ".flv"))
EXTENSIONS = ANIMATIONS | STREAMS
BRANDS = (b"isom", b"iso2", b"iso4", b"iso5", b"iso6", b"mp41", b"mp42", b"avc1", b"qt  ", b"M4V ", b"dash")  # of ISO media files


def starts_as_animation(head: bytes) -> bool:
    """Return whether a file that begins with `head` is a GIF, WebP or PNG."""
    return head.startswith((b"GIF87a", b"GIF89a", b"\x89PNG\r\n\x1a\n")) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")


def starts_as_video(head: bytes) -> bool:
    """Return whether a file that begins with `head`, its first bytes, may be a video."""
    if head[:4] == b"RIFF":
        return head[8:12] in (b"WEBP", b"AVI ")
    is_iso = head[4:8] == b"ftyp" and head[8:12] in BRANDS
    return is_iso or head.startswith((b"GIF87a", b"GIF89a", b"\x1aE\xdf\xa3"))  # the last is of Matroska and WebM
