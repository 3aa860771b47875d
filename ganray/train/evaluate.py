"""Scoring a generator across the workers: each makes its share of the samples, rank 0 compares all with the reference."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ganray.config import Evaluate
from ganray.gan.sampling import CHUNK, num_chunks, sample_chunk
from ganray.metrics.coverage import precision_recall
from ganray.metrics.frechet import Moments, frechet_distance
from ganray.train.collective import gather_interleaved, rank, world_size


@dataclass(frozen=True)
class Reference:
    """What generated features are compared with: moments of all reals, and the features of some, float32 [n, D]."""

    moments: Moments
    features: Tensor


def protocol(evaluate: Evaluate, *, fingerprint: str, extractor: str) -> dict[str, Any]:
    """Return what a score was measured by; only scores of equal protocols are comparable."""
    return {
        "metric": "metric/frechet",
        "mode": "min",
        "dataset": fingerprint,
        "extractor": extractor,
        "num_samples": evaluate.num_samples,
        "neighbours": evaluate.neighbours,
        "seed": evaluate.seed,
    }


def score_generator(
    generator: nn.Module, latent_dim: int, extractor: nn.Module, reference: Reference, evaluate: Evaluate
) -> dict[str, float] | None:
    """Return the scores on rank 0 and None elsewhere. Every rank must call this with the same generator, in eval mode."""
    features = fake_features(generator, latent_dim, extractor, num_samples=evaluate.num_samples, seed=evaluate.seed)
    if rank() != 0:
        return None
    return compare(features, reference, neighbours=evaluate.neighbours)


@torch.no_grad()
def fake_features(generator: nn.Module, latent_dim: int, extractor: nn.Module, *, num_samples: int, seed: int) -> Tensor:
    """Return the features float32 [num_samples, D] of samples 0 to num_samples - 1, the same whatever the number of ranks."""
    total = num_chunks(num_samples)
    mine = range(rank(), total, world_size())
    chunks = [extractor.features(sample_chunk(generator, latent_dim, seed=seed, chunk=chunk)) for chunk in mine]
    device = next(generator.parameters()).device
    shape = (CHUNK, extractor.num_features)
    local = torch.stack(chunks) if chunks else torch.zeros(0, *shape, device=device)
    return gather_interleaved(local, total).flatten(0, 1)[:num_samples]


def compare(features: Tensor, reference: Reference, *, neighbours: int) -> dict[str, float]:
    """Return Frechet distance, precision and recall (and density and coverage) of features [N, D] against a reference."""
    moments = Moments.of(features)
    reals = reference.features.to(features.device)
    shape = precision_recall(reals, features, neighbours)
    return {"metric/frechet": frechet_distance(moments, reference.moments), **{f"metric/{name}": value for name, value in shape.items()}}
