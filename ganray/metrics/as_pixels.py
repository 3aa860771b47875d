"""Samples as images, for the feature extractor: waves as log mel spectrograms, the same for any rate; clips with frames as channels."""

import functools

import numpy as np
import torch
from torch import Tensor

from ganray.modalities.sound.spectrogram import Analysis, mel_filters, window

BANDS, FRAMES = 64, 64
RATE = 16_000  # Hz that the mel scale is laid out for, whatever the rate: features need no units
FLOOR_DB = -70.0
FULL_SCALE = 32767


def as_pixels(samples: Tensor) -> Tensor:
    """Return waves int16 [N, C, samples] as uint8 [N, C, BANDS, frames], clips [N, T, C, H, W] as [N, T C, H, W], images as they are."""
    if samples.dtype != torch.uint8:
        return wave_pixels(samples)
    return samples.flatten(1, 2) if samples.ndim == 5 else samples


def num_channels(shape: tuple[int, ...]) -> int:
    """Return the channels that samples of a shape have as images."""
    return shape[0] * shape[1] if len(shape) == 4 else shape[0]


def wave_pixels(waves: Tensor) -> Tensor:
    """Return the levels of waves int16 [N, C, samples] in dB, from `FLOOR_DB` to 0, as uint8 [N, C, BANDS, frames]."""
    analysis = Analysis(RATE, max(1, waves.shape[2] // FRAMES), FRAMES, BANDS)
    shape, filters = (tensor.to(waves.device) for tensor in _tensors(analysis))
    size, hop = analysis.fft_size, analysis.hop
    padded = torch.nn.functional.pad(waves.flatten(0, 1).float() / FULL_SCALE, ((size - hop) // 2, size - hop - (size - hop) // 2))
    spectrum = torch.fft.rfft(padded.unfold(1, size, hop) * shape).abs() * (2 / shape.sum())  # [N C, frames, frequencies]
    levels = 20 * (spectrum @ filters.T).clamp(min=10 ** (FLOOR_DB / 20)).log10()
    each = (255 * (1 - levels / FLOOR_DB)).round().clamp(0, 255).to(torch.uint8).mT
    pixels: Tensor = each.unflatten(0, waves.shape[:2])
    return pixels


@functools.lru_cache(maxsize=4)
def _tensors(analysis: Analysis) -> tuple[Tensor, Tensor]:
    """Return the window [size] and the mel filters [BANDS, frequencies], float32."""
    return tuple(torch.from_numpy(array.astype(np.float32)) for array in (window(analysis.fft_size), mel_filters(analysis)))  # type: ignore[return-value]
