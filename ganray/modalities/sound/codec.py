"""The codecs of sounds: log mel spectrograms, normalised in each band, as uint8 images, or waves as they are, int16."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganray.modalities.codec import Encoded, Samples, UnreadableSample, encode_each
from ganray.modalities.image import grid_png
from ganray.modalities.sound.decoding import Clip, Wave, decode
from ganray.modalities.sound.spectrogram import Analysis, Floats, griffin_lim, mel_spectrogram

FLOOR_DB = -70.0  # of full scale: below it is silence
DEVIATIONS = 3.0  # of a band's level, beyond which it is clipped (Donahue et al. 2019, section 3.2)
MIN_RANGE_DB = 10.0  # of a band that never changes
SILENT_DB = -40.0  # a sample that is nowhere louder is silent
MAX_LOUDEST = 0.01  # fraction of a spectrogram's places that may be as loud as they can
CLIPPED, MAX_CLIPPED = 0.999, 0.001  # of full scale, and the fraction of a wave's numbers that may be there
ROUNDS = 32  # of Griffin-Lim
MAX_PEAK = 10 ** (-0.1 / 20)  # of a wave that is written: louder ones are turned down, so that none is clipped
FULL_SCALE = 32767
MAX_SAMPLES, MAX_SIDE = 1 << 20, 1024
LOUDNESS = ("peak", "rms", "keep")

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class SpectrogramCodec:
    """Mel spectrograms uint8 [1, bins, frames], the lowest band first. `low` and `high` are levels in dB of each band: 0 and 255."""

    clip: Clip
    analysis: Analysis
    low: tuple[float, ...]
    high: tuple[float, ...]

    kind = "sound"
    dtype = "uint8"

    @property
    def shape(self) -> tuple[int, int, int]:
        """One channel, bands, frames."""
        return 1, self.analysis.bins, self.analysis.frames

    @property
    def noun(self) -> str:
        """Length and rate."""
        return sound_noun(self.clip)

    def encode_batch(self, data: Any) -> Encoded:
        """Decode each file's bytes."""
        return encode_each(lambda raw: self.of_waves(decode(raw, self.clip)[None])[0], data.to_pylist())

    def of_waves(self, waves: Wave) -> Pixels:
        """Return the spectrograms [N, 1, bins, frames] of waves [N, samples]."""
        low, high = self._range
        scaled = (decibels(mel_spectrogram(waves.astype(np.float64), self.analysis)) - low) * (255 / (high - low))
        return scaled.round().clip(0, 255).astype(np.uint8)[:, None]

    def waves(self, samples: Samples) -> Wave:
        """Return the waves float32 [N, samples] that spectrograms [N, 1, bins, frames] describe, by Griffin-Lim, none of them clipped."""
        low, high = self._range
        magnitudes = 10 ** ((samples[:, 0].astype(np.float64) * ((high - low) / 255) + low) / 20)
        # One at a time: the last bits of a matrix product may depend on how many there are.
        waves = np.concatenate([griffin_lim(one[None], self.analysis, rounds=ROUNDS) for one in magnitudes])
        limited: Wave = (waves / np.maximum(np.abs(waves).max(1, keepdims=True) / MAX_PEAK, 1)).astype(np.float32)
        return limited

    def are_silent(self, samples: Samples) -> NDArray[np.bool_]:
        """Return for each sample whether its loudest place is below -40 dB, [N]."""
        low, high = self._range
        return np.asarray((samples[:, 0] * ((high - low) / 255) + low).max((1, 2)) < SILENT_DB)

    def are_clipped(self, samples: Samples) -> NDArray[np.bool_]:
        """Return for each sample whether over one in a hundred places are as loud as they can be, [N]."""
        return np.asarray((samples == 255).mean((1, 2, 3)) > MAX_LOUDEST)

    def preview(self, samples: Samples, texts: Mapping[str, str] | None = None) -> bytes:
        """Return a grid of spectrograms, low bands at the bottom, loud ones dark."""
        return grid_png(255 - samples[:, :, ::-1], texts)

    def to_json(self) -> dict[str, Any]:
        """Return the clip, the analysis and the levels."""
        analysis = {"hop": self.analysis.hop, "frames": self.analysis.frames, "bins": self.analysis.bins}
        levels = {"low": list(self.low), "high": list(self.high)}
        return {"kind": self.kind, "representation": "spectrogram", **clip_json(self.clip), **analysis, **levels}

    @property
    def _range(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return np.array(self.low)[:, None], np.array(self.high)[:, None]


@dataclass(frozen=True)
class WaveCodec:
    """Waves int16 [1, samples]."""

    clip: Clip

    kind = "sound"
    dtype = "int16"

    @property
    def shape(self) -> tuple[int, int]:
        """One channel, samples."""
        return 1, self.clip.samples

    @property
    def noun(self) -> str:
        """Length and rate."""
        return sound_noun(self.clip)

    def encode_batch(self, data: Any) -> Encoded:
        """Decode each file's bytes."""
        return encode_each(lambda raw: self.of_waves(decode(raw, self.clip)[None])[0], data.to_pylist())

    def of_waves(self, waves: Wave) -> NDArray[np.int16]:
        """Return waves [N, samples] in -1 to 1 as int16 [N, 1, samples]."""
        return (waves * FULL_SCALE).round().astype(np.int16)[:, None]

    def waves(self, samples: Samples) -> Wave:
        """Return samples [N, 1, samples] as waves float32 [N, samples]."""
        return samples[:, 0].astype(np.float32) / np.float32(FULL_SCALE)

    def are_silent(self, samples: Samples) -> NDArray[np.bool_]:
        """Return for each sample whether its peak is below -40 dB, [N]."""
        return np.asarray(np.abs(self.waves(samples)).max(1) < 10 ** (SILENT_DB / 20))

    def are_clipped(self, samples: Samples) -> NDArray[np.bool_]:
        """Return for each sample whether over one in a thousand of its numbers are at full scale, [N]."""
        return np.asarray((np.abs(self.waves(samples)) > CLIPPED).mean(1) > MAX_CLIPPED)

    def preview(self, samples: Samples, texts: Mapping[str, str] | None = None) -> bytes:
        """Return a grid of spectrograms, low bands at the bottom, loud ones dark."""
        analysis = preview_analysis(self.clip)
        levels = decibels(mel_spectrogram(self.waves(samples).astype(np.float64), analysis))
        pixels = (255 * (1 - levels / FLOOR_DB)).clip(0, 255).astype(np.uint8)[:, None]
        return grid_png(255 - pixels[:, :, ::-1], texts)

    def to_json(self) -> dict[str, Any]:
        """Return the clip."""
        return {"kind": self.kind, "representation": "wave", **clip_json(self.clip)}


SoundCodec = SpectrogramCodec | WaveCodec


@dataclass(frozen=True)
class BandSums:
    """A summary of spectrograms: how many frames there were, and the sums of levels and of their squares in each band, [bins]."""

    frames: int
    total: NDArray[np.float64]
    squares: NDArray[np.float64]


@dataclass(frozen=True)
class SpectrogramFitting:
    """Fits the range of each band to the mean and deviation of its level over a dataset."""

    clip: Clip
    analysis: Analysis

    def observe(self, data: Any) -> BandSums:
        """Return the sums of a batch of files; those that cannot be read are passed over."""
        frames, total, squares = 0, np.zeros(self.analysis.bins), np.zeros(self.analysis.bins)
        for raw in data.to_pylist():
            try:
                wave = decode(raw, self.clip)
            except UnreadableSample:
                continue
            levels = decibels(mel_spectrogram(wave[None].astype(np.float64), self.analysis))[0]  # [bins, frames]
            frames, total, squares = frames + levels.shape[1], total + levels.sum(1), squares + (levels**2).sum(1)
        return BandSums(frames, total, squares)

    def codec(self, summaries: Iterable[BandSums]) -> SpectrogramCodec:
        """Return the codec whose bands span the mean plus and minus three deviations, as far as there is sound."""
        frames, total, squares = 0, np.zeros(self.analysis.bins), np.zeros(self.analysis.bins)
        for part in summaries:
            frames, total, squares = frames + part.frames, total + part.total, squares + part.squares
        mean = total / max(frames, 1)
        reach = DEVIATIONS * np.sqrt(np.maximum(squares / max(frames, 1) - mean**2, 0))
        low = np.maximum(mean - reach, FLOOR_DB)
        high = np.maximum(mean + reach, low + MIN_RANGE_DB)
        return SpectrogramCodec(self.clip, self.analysis, *(tuple(np.round(levels, 3).tolist()) for levels in (low, high)))


def sound_codec_from_json(data: Mapping[str, Any]) -> SoundCodec:
    """Return the codec that `to_json` described. Raises `ValueError` for anything else, which may come from outside."""
    rate, samples = _integer(data, "rate", 1000, 768_000), _integer(data, "samples", 64, MAX_SAMPLES)
    if data.get("loudness") not in LOUDNESS or not isinstance(data.get("trim"), bool):
        raise ValueError("a sound has a loudness, and says whether it is trimmed")
    clip = Clip(rate, samples, data["trim"], data["loudness"])
    if data.get("representation") == "wave":
        return WaveCodec(clip)
    if data.get("representation") != "spectrogram":
        raise ValueError("a sound is a spectrogram or a wave")
    analysis = Analysis(rate, _integer(data, "hop", 1, samples), _integer(data, "frames", 1, MAX_SIDE), _integer(data, "bins", 1, MAX_SIDE))
    low, high = _levels(data, "low", analysis.bins), _levels(data, "high", analysis.bins)
    if analysis.samples != samples or not all(one < other for one, other in zip(low, high, strict=True)):
        raise ValueError("hop, frames and levels do not fit one another")
    return SpectrogramCodec(clip, analysis, low, high)


def decibels(magnitudes: Floats) -> Floats:
    """Return magnitudes as levels in dB of full scale, none below `FLOOR_DB`."""
    levels: Floats = 20 * np.log10(np.maximum(magnitudes, 10 ** (FLOOR_DB / 20)))
    return levels


def preview_analysis(clip: Clip) -> Analysis:
    """Return how a wave is drawn: as about 64 bands and frames."""
    hop = max(1, clip.samples // 64)
    return Analysis(clip.rate, hop, clip.samples // hop, 64)


def clip_json(clip: Clip) -> dict[str, Any]:
    """Return a clip as JSON data."""
    return {"rate": clip.rate, "samples": clip.samples, "trim": clip.trim, "loudness": clip.loudness}


def sound_noun(clip: Clip) -> str:
    """Return what sounds are, in the plural."""
    return f"sounds of {clip.samples / clip.rate:.3g} s at {clip.rate:,} Hz"


def _integer(data: Mapping[str, Any], name: str, low: int, high: int) -> int:
    value = data.get(name)
    if type(value) is not int or not low <= value <= high:
        raise ValueError(f"the {name} of a sound is an integer of {low} to {high}")
    return value


def _levels(data: Mapping[str, Any], name: str, bins: int) -> tuple[float, ...]:
    values = data.get(name)
    if not isinstance(values, list) or len(values) != bins or not all(_is_level(value) for value in values):
        raise ValueError(f"{name} holds a level in dB for each of {bins} bands")
    return tuple(float(value) for value in values)


def _is_level(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and abs(value) <= 200
