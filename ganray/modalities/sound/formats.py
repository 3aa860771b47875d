"""Which files are sounds: by the extension of their names, or by their first bytes where a name has none. No file is decoded."""

EXTENSIONS = frozenset(
    f".{name}"
    for name in ("wav", "wave", "flac", "ogg", "oga", "opus", "mp3", "mp2", "aif", "aiff", "aifc", "au", "snd", "caf", "w64", "rf64")
)
SIGNATURES = (b"fLaC", b"OggS", b"ID3", b".snd", b"caff", b"riff")  # the last is of Sony Wave64
CONTAINERS = {b"RIFF": (b"WAVE",), b"RF64": (b"WAVE",), b"FORM": (b"AIFF", b"AIFC")}


def starts_as_sound(head: bytes) -> bool:
    """Return whether a file that begins with `head` is a sound."""
    if head[:4] in CONTAINERS:
        return head[8:12] in CONTAINERS[head[:4]]
    return head.startswith(SIGNATURES) or _is_mpeg_frame(head)


def _is_mpeg_frame(head: bytes) -> bool:
    """Return whether the first bytes are the header of an MPEG audio frame: its layer, bit rate and rate are no reserved values."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return False
    version, layer, bit_rate, rate = head[1] >> 3 & 3, head[1] >> 1 & 3, head[2] >> 4, head[2] >> 2 & 3
    return version != 1 and layer != 0 and bit_rate not in (0, 15) and rate != 3
