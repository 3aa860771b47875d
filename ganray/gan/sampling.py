"""Sampling in fixed chunks: sample i is a function of the seed and i, whatever the number of samples, processes and machines.

A convolution's last bits can depend on the size of its batch; chunks of one size keep the samples equal.
"""

import torch
from torch import Tensor, nn

from ganray.gan.layouts import Layout
from ganray.gan.prior import Prior, truncate

CHUNK = 64


def num_chunks(num_samples: int) -> int:
    """Return the number of chunks that hold `num_samples` samples."""
    return -(-num_samples // CHUNK)


@torch.no_grad()
def sample_chunk(
    generator: nn.Module,
    prior: Prior,
    layout: Layout,
    *,
    seed: int,
    chunk: int,
    label: int | None = None,
    given: Tensor | None = None,
    truncation: float | None = None,
) -> Tensor:
    """Return the samples from index `chunk * CHUNK` on as they would be stored, [CHUNK, ...], on the generator's device.

    With `label` all are of that class; without, classes are sampled from the prior. `given` are the conditions [1, ...] of all of them,
    for a generator that takes some. `truncation` is a threshold of the latents.
    """
    device = next(generator.parameters()).device
    latents, labels = sample_inputs(prior, seed=seed, start=chunk * CHUNK, num=CHUNK, label=label, truncation=truncation)
    if given is not None:
        labels = given.expand(CHUNK, -1)
    return layout.to_samples(generator(latents.to(device), labels if labels is None else labels.to(device)))


def sample_inputs(
    prior: Prior, *, seed: int, start: int, num: int, label: int | None = None, truncation: float | None = None
) -> tuple[Tensor, Tensor | None]:
    """Return the latents [num, latent_dim] and labels [num] (or None) of the samples from index `start` on; see `sample_chunk`."""
    latents, labels = prior.sample(seed, "samples", start, num)
    return with_settings(latents, labels, label=label, truncation=truncation)


def with_settings(latents: Tensor, labels: Tensor | None, *, label: int | None, truncation: float | None) -> tuple[Tensor, Tensor | None]:
    """Return inputs as `sample_chunk` changes them: latents truncated, all labels replaced by `label`."""
    if truncation is not None:
        latents = truncate(latents, truncation)
    if label is not None:
        labels = torch.full((len(latents),), label)
    return latents, labels


def chunk_inputs(prior: Prior, *, seed: int, chunk: int) -> tuple[Tensor, Tensor | None]:
    """Return the latents [CHUNK, latent_dim] and labels [CHUNK] (or None) of a chunk."""
    return prior.sample(seed, "samples", chunk * CHUNK, CHUNK)
