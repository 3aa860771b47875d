"""Sound files that ganray writes: 16-bit wav and flac with texts in their tags, and reading both back."""

import wave
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ganray.modalities.codec import UnreadableSample
from ganray.modalities.sound.codec import MAX_CHANNELS
from ganray.modalities.sound.decoding import Wave
from ganray.modalities.sound.optional import soundfile
from ganray.storage.files import open_regular

SoundFormat = Literal["wav", "flac"]
Integers = NDArray[np.int16]  # [samples] of mono, [2, samples] of stereo

SOFTWARE = b"ganray"
LIST, INFO, COMMENT, MAKER = b"LIST", b"INFO", b"ICMT", b"ISFT"  # of a RIFF file: a list of texts, a comment and what wrote it
XMP = b"_PMX"  # the chunk of XMP in a RIFF file (XMP Specification part 3, section 1.1.11)
MAX_FILE_BYTES = 256 << 20
GAP_S = 0.1  # seconds of silence after each sound of a sheet
FULL_SCALE = 32767


def encode_sound(samples: Wave, rate: int, format: SoundFormat, comment: str = "", xmp: str = "") -> bytes:
    """Return a wave, [samples] or [2, samples], in -1 to 1 as a file of 16 bits, with texts as its comment and, in a wav file, as XMP."""
    return _encode_wav(samples, rate, comment, xmp) if format == "wav" else _encode_flac(samples, rate, comment)


def read_sound(path: Path) -> tuple[Integers, int, str]:
    """Return the wave of a wav or flac file of 16 bits, mono or stereo, its rate and its comment. Raises `UnreadableSample`."""
    try:
        with open_regular(path) as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise UnreadableSample(" ".join(str(error).split())[:100]) from None
    if len(data) > MAX_FILE_BYTES:
        raise UnreadableSample(f"has more than {MAX_FILE_BYTES >> 20} MB")
    return sound_of(data)


def sound_of(data: bytes) -> tuple[Integers, int, str]:
    """Return what `read_sound` does of a file's bytes. Raises `UnreadableSample`."""
    try:
        with soundfile().SoundFile(BytesIO(data)) as sound:
            if sound.channels > MAX_CHANNELS or sound.subtype != "PCM_16":
                raise UnreadableSample("is not mono or stereo of 16 bits")
            comment = _wav_comment(data) if sound.format == "WAV" else str(sound.copy_metadata().get("comment", ""))
            return np.ascontiguousarray(sound.read(dtype="int16").T), sound.samplerate, comment
    except soundfile().LibsndfileError as error:
        raise UnreadableSample(" ".join(str(error).split())[:100]) from None


def sheet(waves: Wave, rate: int) -> Wave:
    """Return waves [N, samples], or of stereo [N, 2, samples], one after the other, each with a short silence after it, as one."""
    gap = np.zeros((*waves.shape[:-1], round(GAP_S * rate)), np.float32)
    return np.concatenate(list(np.concatenate([waves, gap], axis=-1)), axis=-1)


def to_integers(samples: Wave) -> Integers:
    """Return a wave in -1 to 1 as 16-bit integers, of one shape with it."""
    return (np.clip(samples, -1, 1) * FULL_SCALE).round().astype(np.int16)


def _encode_flac(samples: Wave, rate: int, comment: str) -> bytes:
    buffer = BytesIO()
    with soundfile().SoundFile(buffer, "w", rate, _num_channels(samples), "PCM_16", format="FLAC") as file:
        if comment:
            file.comment, file.software = comment, SOFTWARE.decode()
        file.write(to_integers(samples).T)
    return buffer.getvalue()


def _encode_wav(samples: Wave, rate: int, comment: str, xmp: str) -> bytes:
    """Return a wav file, by the standard library: a training worker writes sheets, and needs no other for them."""
    buffer = BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(_num_channels(samples))
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(to_integers(samples).T.astype("<i2").tobytes())
    body = buffer.getvalue()[8:]
    if comment:
        body += _chunk(LIST, INFO + _chunk(COMMENT, comment.encode() + b"\0") + _chunk(MAKER, SOFTWARE + b"\0"))
    if xmp:
        body += _chunk(XMP, xmp.encode())
    return b"RIFF" + len(body).to_bytes(4, "little") + body


def _num_channels(wave: Wave) -> int:
    return 1 if wave.ndim == 1 else len(wave)


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + len(content).to_bytes(4, "little") + content + b"\0" * (len(content) % 2)


def _wav_comment(data: bytes) -> str:
    """Return the comment in a wav file's list of texts, "" without one."""
    for name, content in _chunks(data[12:]):
        if name == LIST and content[:4] == INFO:
            found = dict(_chunks(content[4:])).get(COMMENT, b"")
            return found.rstrip(b"\0").decode(errors="replace")
    return ""


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the names and contents of the chunks of a RIFF file's body."""
    while len(data) >= 8:
        size = int.from_bytes(data[4:8], "little")
        yield data[:4], data[8 : 8 + size]
        data = data[8 + size + size % 2 :]
