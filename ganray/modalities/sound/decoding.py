"""Decoding sound files of any format, rate and number of channels to waves of one rate, length, loudness and number of channels."""

from dataclasses import dataclass
from io import BytesIO
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ganray.modalities.codec import UnreadableSample
from ganray.modalities.sound.optional import soundfile, soxr

Wave = NDArray[np.float32]  # [samples] of mono, [2, samples] of stereo, left first; in -1 to 1

MAX_LEAD_S = 30  # seconds of silence that are searched for the first sound
MIN_RATE, MAX_RATE = 1_000, 768_000  # Hz
MAX_CHANNELS = 64
SILENT = 1e-4  # a peak below it, -80 dB, is silence
ONSET = 10 ** (-40 / 20)  # of the peak: what is quieter before the first sound is cut off
ONSET_LEAD_S = 0.01  # seconds that are kept before the first sound
FADE_S = 0.01  # seconds of the fade where a longer sound is cut
PEAK = 10 ** (-1 / 20)  # -1 dB of full scale
RMS = 10 ** (-20 / 20)  # -20 dB of full scale
NOT_A_FILE = "not a regular file"
BLOCK = 1 << 16  # frames that are decoded together

Loudness = Literal["peak", "rms", "keep"]


@dataclass(frozen=True)
class Clip:
    """What sounds are made to: `samples` of them at `rate` Hz, mono or, with two `channels`, stereo.

    `trim` cuts off silence at the beginning. `loudness`: "peak" scales every sound to a peak of -1 dB, "rms" to a level of -20 dB
    where it is heard, "keep" leaves it.
    """

    rate: int
    samples: int
    trim: bool = True
    loudness: Loudness = "peak"
    channels: int = 1

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of a wave."""
        return (self.samples,) if self.channels == 1 else (self.channels, self.samples)


def decode(data: bytes, clip: Clip) -> Wave:
    """Decode a sound file (wav, flac, ogg, mp3, ...) to a wave of the clip's rate, length and channels; shorter ones are padded.

    For mono, channels are averaged; for stereo, a single channel is on both sides, and so is the average of more than two. Both have one
    loudness, so that what is in the middle stays there. Of a longer file the beginning is taken, with a short fade at its end. Raises
    `UnreadableSample` for bytes that are no sound, hold not one sample, or are silent.
    """
    wave, rate = _read(data, clip)
    if rate != clip.rate:
        wave = soxr().resample(wave, rate, clip.rate)
    if not np.isfinite(wave).all():
        raise UnreadableSample("has values that are not finite")
    peak = float(np.abs(wave).max(initial=0.0))
    if peak < SILENT:
        raise UnreadableSample("is silent")
    if clip.trim:
        heard = np.abs(wave) >= peak * ONSET
        first = int(np.argmax(heard if heard.ndim == 1 else heard.any(axis=1)))
        wave = wave[max(0, first - round(ONSET_LEAD_S * clip.rate)) :]
    return np.ascontiguousarray(_scaled(_fit(wave, clip), clip.loudness).T)


def probe(data: bytes) -> tuple[int, float, int]:
    """Return a sound file's rate in Hz, length in seconds and channels, as its header has them. Raises `UnreadableSample` for no sound."""
    library = soundfile()
    if not data:
        raise UnreadableSample("is empty")
    try:
        with library.SoundFile(BytesIO(data)) as file:
            return file.samplerate, file.frames / file.samplerate, file.channels
    except (library.LibsndfileError, TypeError, ValueError, ZeroDivisionError) as error:
        raise UnreadableSample(_reason(error)) from None


def _read(data: bytes, clip: Clip) -> tuple[Wave, int]:
    """Return as much of a file as a clip may need, [frames] of mono or [frames, 2] of stereo, and its rate.

    What a truncated file still holds is taken.
    """
    library = soundfile()
    if not data:
        raise UnreadableSample("is empty")
    try:
        with library.SoundFile(BytesIO(data)) as file:
            if not MIN_RATE <= file.samplerate <= MAX_RATE or file.channels > MAX_CHANNELS:
                raise UnreadableSample(f"has {file.channels} channels at {file.samplerate} Hz")
            limit = int((clip.samples / clip.rate + (MAX_LEAD_S if clip.trim else 1)) * file.samplerate)
            wave = _mixed(file, limit, clip.channels)
            rate: int = file.samplerate
    except (library.LibsndfileError, TypeError, ValueError) as error:
        raise UnreadableSample(_reason(error)) from None
    if not len(wave):
        raise UnreadableSample("holds no sample")
    return wave, rate


def _mixed(file: Any, limit: int, channels: int) -> Wave:
    """Read at most `limit` frames, as [frames] of mono or [frames, 2] of stereo, block by block: a header may claim any number."""
    blocks: list[Wave] = []
    while limit > 0 and len(block := file.read(min(limit, BLOCK), dtype="float32", always_2d=True)):
        blocks.append(block.mean(axis=1) if channels == 1 else _stereo(block))
        limit -= len(block)
    return np.concatenate(blocks) if blocks else np.zeros(0, np.float32)


def _stereo(block: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return frames [n, channels] as [n, 2]: two channels as they are, the average of any other number on both sides."""
    return block if block.shape[1] == 2 else np.repeat(block.mean(axis=1, keepdims=True), 2, axis=1)


def _fit(wave: Wave, clip: Clip) -> Wave:
    """Cut a wave, [n] or [n, 2], to the clip's length, or pad it with silence."""
    if len(wave) <= clip.samples:
        return np.pad(wave, [(0, clip.samples - len(wave)), *[(0, 0)] * (wave.ndim - 1)])
    wave = wave[: clip.samples].copy()
    fade = min(round(FADE_S * clip.rate), clip.samples)
    wave.T[..., len(wave) - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)
    return wave


def _scaled(wave: Wave, loudness: Loudness) -> Wave:
    """Return a wave of the loudness asked for, within -1 to 1."""
    peak = float(np.abs(wave).max())
    if peak < SILENT:
        raise UnreadableSample("is silent in the part that is taken")
    if loudness == "keep":
        return wave.clip(-1, 1)
    if loudness == "peak":
        return wave * np.float32(PEAK / peak)
    heard = wave[np.abs(wave) >= peak * ONSET]
    level = float(np.sqrt(np.mean(np.square(heard, dtype=np.float64))))
    return wave * np.float32(min(RMS / level, 1 / peak))


def _reason(error: Exception) -> str:
    """Return libsndfile's reason as part of a line."""
    text = str(getattr(error, "error_string", error)).strip().rstrip(".")
    if NOT_A_FILE in text:  # libsndfile's words for an MPEG stream without a whole frame
        return "holds no whole frame"
    return text[:100] or type(error).__name__
