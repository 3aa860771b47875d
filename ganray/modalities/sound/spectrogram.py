"""Mel spectrograms of waves, and waves of mel spectrograms by the fast Griffin-Lim algorithm; in NumPy alone, the same bits every time."""

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Spectrum = NDArray[np.complexfloating[Any, Any]]  # [N, frames, fft_size / 2 + 1]

MIN_OVERLAP = 4  # windows that cover each sample
MOMENTUM = 0.99  # of the fast Griffin-Lim algorithm (Perraudin et al. 2013, figure 4)
MEL_ITERATIONS = 32  # of the multiplicative updates that invert the filter bank
PHASE_SEED = 0  # of the phases that Griffin-Lim starts from, which are the same for every sample
TINY = 1e-10


@dataclass(frozen=True)
class Analysis:
    """A short-time Fourier transform of `frames` frames, each `hop` samples after the one before, in `bins` mel bands up to `rate` / 2."""

    rate: int
    hop: int
    frames: int
    bins: int

    @property
    def samples(self) -> int:
        """The length of a wave."""
        return self.hop * self.frames

    @property
    def fft_size(self) -> int:
        """The length of a window: the power of two that covers every sample at least `MIN_OVERLAP` times."""
        return 1 << (MIN_OVERLAP * self.hop - 1).bit_length()


def mel_spectrogram(waves: Floats, analysis: Analysis) -> Floats:
    """Return the mel magnitudes [N, bins, frames] of waves [N, samples]; a sine of amplitude 1 has about 1 in its band."""
    magnitudes = np.abs(_transform(waves, analysis))
    mel: Floats = np.einsum("ntf,bf->nbt", magnitudes, mel_filters(analysis))
    return mel


def griffin_lim(mel: Floats, analysis: Analysis, *, rounds: int) -> Floats:
    """Return waves float32 [N, samples] of mel magnitudes near `mel` [N, bins, frames] (Griffin and Lim 1984; Perraudin et al. 2013)."""
    magnitudes = _linear_magnitudes(mel.transpose(0, 2, 1).astype(np.float32), analysis)  # [N, frames, frequencies]
    spectrum: Spectrum = magnitudes * _initial_phases(analysis)
    before: Spectrum = np.zeros_like(spectrum)
    for _ in range(rounds):
        consistent = _transform(_inverse(spectrum, analysis), analysis)
        accelerated = consistent + MOMENTUM * (consistent - before)
        before = consistent
        spectrum = magnitudes * accelerated / np.maximum(np.abs(accelerated), TINY)
    return _inverse(spectrum, analysis)


def _linear_magnitudes(mel: Floats, analysis: Analysis) -> Floats:
    """Return non-negative magnitudes [N, frames, frequencies] whose mel bands are `mel` [N, frames, bins].

    Multiplicative updates for the squared error (Lee and Seung 2001, Eq. 4), from a spread of each band over its frequencies.
    """
    filters = mel_filters(analysis).astype(mel.dtype)
    spread = filters / np.maximum(filters.sum(0), TINY)
    magnitudes: Floats = mel @ spread + TINY
    target = mel @ filters
    for _ in range(MEL_ITERATIONS):
        magnitudes *= target / np.maximum(magnitudes @ filters.T @ filters, TINY)
    return magnitudes


def _transform(waves: Floats, analysis: Analysis) -> Spectrum:
    """Return the short-time Fourier transform of waves [N, samples], of windows in the middle of each hop."""
    size, hop = analysis.fft_size, analysis.hop
    padded = np.pad(waves, ((0, 0), ((size - hop) // 2, size - hop - (size - hop) // 2)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, size, axis=1)[:, ::hop]  # [N, frames, size]
    shape = window(size).astype(waves.dtype)
    spectrum: Spectrum = np.fft.rfft(windows * shape, axis=2)
    spectrum *= 2 / shape.sum()
    return spectrum


def _inverse(spectrum: Spectrum, analysis: Analysis) -> Floats:
    """Return the waves [N, samples] whose transform is the nearest by least squares (Griffin and Lim 1984, Eq. 6)."""
    size, hop = analysis.fft_size, analysis.hop
    pieces: Floats = np.fft.irfft(spectrum, size, axis=2)  # [N, frames, size]
    shape = window(size).astype(pieces.dtype)
    pieces *= shape * (shape.sum() / 2)
    length = analysis.samples + size - hop
    total, weight = np.zeros((len(spectrum), length), pieces.dtype), np.zeros(length, pieces.dtype)
    for frame in range(analysis.frames):
        place = slice(frame * hop, frame * hop + size)
        total[:, place] += pieces[:, frame]
        weight[place] += shape**2
    inside = slice((size - hop) // 2, (size - hop) // 2 + analysis.samples)
    return total[:, inside] / np.maximum(weight[inside], TINY)


@functools.lru_cache(maxsize=8)
def window(size: int) -> Floats:
    """Return a periodic Hann window."""
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)


@functools.lru_cache(maxsize=8)
def mel_filters(analysis: Analysis) -> Floats:
    """Return triangular mel filters [bins, frequencies], of height 1, each at least one frequency wide (O'Shaughnessy 1987's mel scale)."""
    frequencies = np.fft.rfftfreq(analysis.fft_size, 1 / analysis.rate)
    edges = 700 * (10 ** (np.linspace(0, _mel(analysis.rate / 2), analysis.bins + 2) / 2595) - 1)
    below, centre, above = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising = (frequencies - centre) / np.maximum(centre - below, frequencies[1])
    falling = (centre - frequencies) / np.maximum(above - centre, frequencies[1])
    filters: Floats = np.maximum(0, 1 + np.minimum(rising, falling))
    return filters


def _mel(frequency: float) -> float:
    """Return a frequency in Hz on the mel scale."""
    return float(2595 * np.log10(1 + frequency / 700))


@functools.lru_cache(maxsize=8)
def _initial_phases(analysis: Analysis) -> Spectrum:
    """Return factors [frames, frequencies] of random phase, which are a function of the shape alone."""
    words = np.random.Philox(key=PHASE_SEED).random_raw(analysis.frames * (analysis.fft_size // 2 + 1))
    angles = words.astype(np.float64).reshape(analysis.frames, -1) * (2 * np.pi / 2**64)
    factors: Spectrum = np.exp(1j * angles).astype(np.complex64)
    return factors
