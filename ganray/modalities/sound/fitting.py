"""Fitting the codec of spectrograms: the range of each band's level over a dataset."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganray.modalities.codec import UnreadableSample
from ganray.modalities.sound.codec import FLOOR_DB, SpectrogramCodec, decibels
from ganray.modalities.sound.decoding import Clip, decode
from ganray.modalities.sound.spectrogram import Analysis, mel_spectrogram

DEVIATIONS = 3.0  # of a band's level, beyond which it is clipped (Donahue et al. 2019, section 3.2)
MIN_RANGE_DB = 10.0  # of a band that never changes


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
            each = wave.reshape(-1, self.clip.samples).astype(np.float64)  # [C, samples]
            for levels in decibels(mel_spectrogram(each, self.analysis)):  # [bins, frames]
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
