"""Scoring a generator across ranks: each generates part of the samples, rank 0 compares all with the reference statistics."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ganray.config import Evaluate
from ganray.gan.distributed import gather_interleaved, rank, world_size
from ganray.gan.layouts import Layout
from ganray.gan.prior import Prior
from ganray.gan.sampling import CHUNK, chunk_inputs, num_chunks, sample_chunk
from ganray.metrics.classes import class_coverage, conditional_accuracy
from ganray.metrics.feature_extractor import FeatureNetwork
from ganray.metrics.frechet import Moments, frechet_distance
from ganray.metrics.kernel import kernel_distance
from ganray.metrics.precision_recall import precision_recall

DIVERSITY = "metric/diversity"
MIN_DIVERSITY = 1e-4  # of a generator that is not broken: its features' variance over that of the reals


@dataclass(frozen=True)
class Reference:
    """What generated features are compared with: moments of all reals, and the features of some, float32 [n, D].

    `distinct` are those of reals that differ from one another, where others do not: the neighbour of a sample that is there twice
    is its copy, at a distance of 0.
    """

    moments: Moments
    features: Tensor
    distinct: Tensor | None = None


def score_generator(
    generator: nn.Module, prior: Prior, layout: Layout, extractor: FeatureNetwork, reference: Reference, evaluate: Evaluate
) -> dict[str, float] | None:
    """Return the scores on rank 0 and None elsewhere. Every rank must call this with the same generator, in eval mode."""
    features = fake_features(generator, prior, layout, extractor, num_samples=evaluate.num_samples, seed=evaluate.seed)
    if rank() != 0:
        return None
    scores = compare(features, reference, neighbours=evaluate.num_neighbours)
    if evaluate.extractor.kind == "classifier":
        scores |= compare_classes(features, prior, extractor, reference, seed=evaluate.seed)
    return scores


@torch.no_grad()
def fake_features(generator: nn.Module, prior: Prior, layout: Layout, extractor: FeatureNetwork, *, num_samples: int, seed: int) -> Tensor:
    """Return the features float32 [num_samples, D] of samples 0 to num_samples - 1, the same for any number of ranks."""
    chunks = [extractor.features(sample_chunk(generator, prior, layout, seed=seed, chunk=chunk)) for chunk in own_chunks(num_samples)]
    device = next(generator.parameters()).device
    shape = (CHUNK, extractor.num_features)
    local = torch.stack(chunks) if chunks else torch.zeros(0, *shape, device=device)
    return gather_interleaved(local, num_chunks(num_samples)).flatten(0, 1)[:num_samples]


def own_chunks(num_samples: int) -> range:
    """Return the numbers of the chunks that this rank generates."""
    return range(rank(), num_chunks(num_samples), world_size())


def compare(features: Tensor, reference: Reference, *, neighbours: int) -> dict[str, float]:
    """Return the distances of features [N, D] from a reference, and how much of it they cover."""
    moments = Moments.of(features)
    reals = reference.features.to(features.device)
    distinct = reals if reference.distinct is None else reference.distinct.to(features.device)
    scores = {
        "frechet": frechet_distance(moments, reference.moments),
        "kid": kernel_distance(reals, features),
        **precision_recall(distinct, features, neighbours),
        "diversity": (moments.covariance.trace().cpu() / reference.moments.covariance.trace()).item(),
    }
    return {f"metric/{name}": value for name, value in scores.items()}


@torch.no_grad()
def compare_classes(features: Tensor, prior: Prior, extractor: FeatureNetwork, reference: Reference, *, seed: int) -> dict[str, float]:
    """Return how the classes of a classifier's features [N, D] compare with the reals', and with what was asked for."""
    fake_classes, real_classes = (extractor.head(rows.to(features.device)).argmax(1) for rows in (features, reference.features))
    scores = {"metric/class_coverage": class_coverage(real_classes, fake_classes, extractor.num_outputs)}
    if prior.num_classes:
        labels = (chunk_inputs(prior, seed=seed, chunk=chunk)[1] for chunk in range(num_chunks(len(features))))
        chunks = [chunk for chunk in labels if chunk is not None]
        scores["metric/conditional_accuracy"] = conditional_accuracy(torch.cat(chunks)[: len(features)], fake_classes)
    return scores


def is_broken(generator: nn.Module, scores: dict[str, float]) -> bool:
    """Return whether the generator is unusable: non-finite weights (which stored samples hide) or scores, or collapsed samples."""
    finite = all(bool(tensor.isfinite().all()) for tensor in generator.state_dict().values())
    scored = all(math.isfinite(value) for value in scores.values())
    return not (finite and scored and scores.get(DIVERSITY, 1.0) >= MIN_DIVERSITY)
