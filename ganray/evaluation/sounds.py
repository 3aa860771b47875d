"""What can be heard of generated sounds without an extractor: how many are silent, and how many are clipped."""

import torch
from torch import nn

from ganray.gan.layouts import Layout
from ganray.gan.prior import Prior
from ganray.gan.sampling import num_chunks, sample_chunk
from ganray.modalities.codec import Codec, Samples
from ganray.modalities.sound.codec import SpectrogramCodec, WaveCodec

MAX_SAMPLES = 1024  # that are looked at


@torch.no_grad()
def sound_scores(codec: Codec, generator: nn.Module, prior: Prior, layout: Layout, *, num_samples: int, seed: int) -> dict[str, float]:
    """Return the fractions of the first samples that are silent and clipped; none for other kinds of sample."""
    if codec.kind != "sound":
        return {}
    number = min(num_samples, MAX_SAMPLES)
    chunks = [sample_chunk(generator, prior, layout, seed=seed, chunk=chunk).cpu() for chunk in range(num_chunks(number))]
    return heard(codec, torch.cat(chunks)[:number].numpy())


def heard(codec: Codec, samples: Samples) -> dict[str, float]:
    """Return the fractions of samples [N, ...] that are silent and clipped; none for other kinds of sample."""
    if not isinstance(codec, SpectrogramCodec | WaveCodec):
        return {}
    return {"metric/silent": float(codec.are_silent(samples).mean()), "metric/clipped": float(codec.are_clipped(samples).mean())}
