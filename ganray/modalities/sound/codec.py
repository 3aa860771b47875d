"""The codecs of sounds: log mel spectrograms, normalised in each band, as uint8 images, or waves as they are, int16.

Waves are [N, samples] of mono, and [N, 2, samples] of stereo; stored samples have one or two channels.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganray.modalities.codec import Encoded, Samples, encode_each
from ganray.modalities.image import grid_png
from ganray.modalities.sound.decoding import Clip, Wave, decode
from ganray.modalities.sound.spectrogram import Analysis, Floats, griffin_lim, mel_spectrogram

FLOOR_DB = -70.0  # of full scale: below it is silence
SILENT_DB = -40.0  # a sample that is nowhere louder is silent
MAX_LOUDEST = 0.01  # fraction of a spectrogram's places that may be as loud as they can
CLIPPED, MAX_CLIPPED = 0.999, 0.001  # of full scale, and the fraction of a wave's numbers that may be there
ROUNDS = 32  # of Griffin-Lim
MAX_PEAK = 10 ** (-0.1 / 20)  # of a wave that is written: louder ones are turned down, so that none is clipped
FULL_SCALE = 32767
MAX_SAMPLES, MAX_SIDE, MAX_CHANNELS = 1 << 20, 1024, 2
LOUDNESS = ("peak", "rms", "keep")

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class SpectrogramCodec:
    """Mel spectrograms uint8 [C, bins, frames], the lowest band first. `low` and `high` are levels in dB of each band: 0 and 255."""

    clip: Clip
    analysis: Analysis
    low: tuple[float, ...]
    high: tuple[float, ...]

    kind = "sound"
    dtype = "uint8"

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, bands, frames."""
        return self.clip.channels, self.analysis.bins, self.analysis.frames

    @property
    def noun(self) -> str:
        """Length and rate."""
        return sound_noun(self.clip)

    def encode_batch(self, data: Any) -> Encoded:
        """Decode each file's bytes."""
        return encode_each(lambda raw: self.of_waves(decode(raw, self.clip)[None])[0], data.to_pylist())

    def of_waves(self, waves: Wave) -> Pixels:
        """Return the spectrograms [N, C, bins, frames] of waves [N, samples], or of stereo [N, 2, samples]."""
        low, high = self._range
        each = waves.reshape(-1, waves.shape[-1]).astype(np.float64)  # [N C, samples]
        scaled = (decibels(mel_spectrogram(each, self.analysis)) - low) * (255 / (high - low))
        return scaled.round().clip(0, 255).astype(np.uint8).reshape(-1, *self.shape)

    def waves(self, samples: Samples) -> Wave:
        """Return the waves float32, as `of_waves` takes them, that spectrograms [N, C, bins, frames] describe, by Griffin-Lim.

        None is clipped; channels are turned down together.
        """
        low, high = self._range
        each = samples.reshape(-1, *self.shape[1:])  # [N C, bins, frames]
        magnitudes = 10 ** ((each.astype(np.float64) * ((high - low) / 255) + low) / 20)
        # One at a time: the last bits of a matrix product may depend on how many there are.
        waves = np.concatenate([griffin_lim(one[None], self.analysis, rounds=ROUNDS) for one in magnitudes])
        waves = waves.reshape(len(samples), -1)  # of stereo, channels one after the other
        limited: Wave = (waves / np.maximum(np.abs(waves).max(1, keepdims=True) / MAX_PEAK, 1)).astype(np.float32)
        return limited.reshape(len(samples), *self.clip.shape)

    def are_silent(self, samples: Samples) -> NDArray[np.bool_]:
        """Return for each sample whether its loudest place is below -40 dB, [N]."""
        low, high = self._range
        return np.asarray((samples * ((high - low) / 255) + low).max((1, 2, 3)) < SILENT_DB)

    def are_clipped(self, samples: Samples) -> NDArray[np.bool_]:
        """Return for each sample whether over one in a hundred places are as loud as they can be, [N]."""
        return np.asarray((samples == 255).mean((1, 2, 3)) > MAX_LOUDEST)

    def preview(self, samples: Samples, texts: Mapping[str, str] | None = None) -> bytes:
        """Return a grid of spectrograms, low bands at the bottom, loud ones dark; of stereo the left channel above the right one."""
        return _drawn(samples, texts)

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
    """Waves int16 [C, samples]."""

    clip: Clip

    kind = "sound"
    dtype = "int16"

    @property
    def shape(self) -> tuple[int, int]:
        """Channels, samples."""
        return self.clip.channels, self.clip.samples

    @property
    def noun(self) -> str:
        """Length and rate."""
        return sound_noun(self.clip)

    def encode_batch(self, data: Any) -> Encoded:
        """Decode each file's bytes."""
        return encode_each(lambda raw: self.of_waves(decode(raw, self.clip)[None])[0], data.to_pylist())

    def of_waves(self, waves: Wave) -> NDArray[np.int16]:
        """Return waves [N, samples], or of stereo [N, 2, samples], in -1 to 1 as int16 [N, C, samples]."""
        return (waves * FULL_SCALE).round().astype(np.int16).reshape(-1, *self.shape)

    def waves(self, samples: Samples) -> Wave:
        """Return samples [N, C, samples] as waves float32, as `of_waves` takes them."""
        return samples.reshape(-1, *self.clip.shape).astype(np.float32) / np.float32(FULL_SCALE)

    def are_silent(self, samples: Samples) -> NDArray[np.bool_]:
        """Return for each sample whether its peak is below -40 dB, [N]."""
        return np.asarray(np.abs(_flat(self.waves(samples))).max(1) < 10 ** (SILENT_DB / 20))

    def are_clipped(self, samples: Samples) -> NDArray[np.bool_]:
        """Return for each sample whether over one in a thousand of its numbers are at full scale, [N]."""
        return np.asarray((np.abs(_flat(self.waves(samples))) > CLIPPED).mean(1) > MAX_CLIPPED)

    def preview(self, samples: Samples, texts: Mapping[str, str] | None = None) -> bytes:
        """Return a grid of spectrograms, low bands at the bottom, loud ones dark; of stereo the left channel above the right one."""
        analysis = preview_analysis(self.clip)
        each = self.waves(samples).reshape(-1, self.clip.samples)  # [N C, samples]
        levels = decibels(mel_spectrogram(each.astype(np.float64), analysis))
        pixels = (255 * (1 - levels / FLOOR_DB)).clip(0, 255).astype(np.uint8)
        return _drawn(pixels.reshape(-1, self.clip.channels, *pixels.shape[1:]), texts)

    def to_json(self) -> dict[str, Any]:
        """Return the clip."""
        return {"kind": self.kind, "representation": "wave", **clip_json(self.clip)}


SoundCodec = SpectrogramCodec | WaveCodec


def sound_codec_from_json(data: Mapping[str, Any]) -> SoundCodec:
    """Return the codec that `to_json` described. Raises `ValueError` for anything else, which may come from outside."""
    rate, samples = _integer(data, "rate", 1000, 768_000), _integer(data, "samples", 64, MAX_SAMPLES)
    if data.get("loudness") not in LOUDNESS or not isinstance(data.get("trim"), bool):
        raise ValueError("a sound has a loudness, and says whether it is trimmed")
    channels = _integer({"channels": 1, **data}, "channels", 1, MAX_CHANNELS)
    clip = Clip(rate, samples, data["trim"], data["loudness"], channels)
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
    """Return a clip as JSON data; that of mono is as it was before there was stereo."""
    channels = {"channels": clip.channels} if clip.channels > 1 else {}
    return {"rate": clip.rate, "samples": clip.samples, "trim": clip.trim, "loudness": clip.loudness, **channels}


def sound_noun(clip: Clip) -> str:
    """Return what sounds are, in the plural."""
    return f"{'stereo ' if clip.channels > 1 else ''}sounds of {clip.samples / clip.rate:.3g} s at {clip.rate:,} Hz"


def _drawn(samples: Pixels, texts: Mapping[str, str] | None) -> bytes:
    """Return spectrograms [N, C, bins, frames] as a grid, the channels of each below one another."""
    upright = 255 - samples[:, :, ::-1]
    return grid_png(upright.reshape(len(samples), 1, -1, samples.shape[3]), texts)


def _flat(waves: Wave) -> Wave:
    """Return waves as [N, numbers]."""
    return waves.reshape(len(waves), -1)


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
