"""Directions of latents along which samples change most, by closed-form factorisation of a generator's first layer."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ganray.gan.prior import Inputs, Prior
from ganray.gan.sampling import sample_inputs


@dataclass(frozen=True)
class Directions:
    """Orthogonal unit vectors [K, latent_dim], the most effective first; `gains` [K]: how far the first layer's outputs move for each."""

    vectors: Tensor
    gains: Tensor

    def to_json(self) -> list[dict[str, Any]]:
        """Return a dictionary of `gain` and `vector` for each direction."""
        return [{"gain": gain, "vector": vector} for gain, vector in zip(self.gains.tolist(), self.vectors.tolist(), strict=True)]


def find_directions(generator: nn.Module, prior: Prior, num: int) -> Directions:
    """Return the `num` directions that a generator's first layer amplifies most: SeFa (Shen and Zhou 2021, section 3.2).

    They are the eigenvectors of A^T A with the largest eigenvalues, where A [features, latent_dim] is the part of the first linear
    layer's weight that latents pass through; `gains` are the roots of the eigenvalues. Any generator that begins with a linear layer
    has them. Raises `ValueError` for one that does not, or if `num` is not in 1 to latent_dim.
    """
    if not 1 <= num <= prior.latent_dim:
        raise ValueError(f"expected 1 to {prior.latent_dim} directions, got {num}")
    weight = first_layer(generator, prior).weight[:, : prior.latent_dim].detach().double().cpu()
    eigenvalues, eigenvectors = torch.linalg.eigh(weight.T @ weight)  # ascending
    vectors = eigenvectors.T.flip(0)[:num]
    largest = vectors.gather(1, vectors.abs().argmax(1, keepdim=True))
    return Directions((vectors * largest.sign()).float(), eigenvalues.flip(0)[:num].clamp(min=0).sqrt().float())


def moved_inputs(
    prior: Prior,
    vector: Tensor,
    *,
    seed: int,
    index: int,
    reach: float,
    num: int,
    label: int | None = None,
    truncation: float | None = None,
) -> Inputs:
    """Return latents [num, latent_dim] and labels [num] (or None) of sample `index` of a seed, moved along a direction [latent_dim].

    They are moved by -reach to reach, in equal steps, so that the middle one of an odd number is the sample itself. `label` and
    `truncation`, of the latents before they are moved, are as in `sample_chunk`. `num` is at least 2.
    """
    latents, labels = sample_inputs(prior, seed=seed, start=index, num=1, label=label, truncation=truncation)
    steps = torch.linspace(-reach, reach, num, dtype=torch.float64)[:, None]
    moved = (latents.double() + steps * vector.double()).to(latents.dtype)
    return moved, None if labels is None else labels.expand(num)


class _FirstLayerFound(Exception):
    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.layer = layer


@torch.no_grad()
def first_layer(generator: nn.Module, prior: Prior) -> nn.Linear:
    """Return the linear layer that latents pass first, found by sending one through. Raises `ValueError` where there is none."""

    def stop(module: nn.Module, inputs: Any) -> None:
        if isinstance(module, nn.Linear) and inputs[0].shape[-1] >= prior.latent_dim:
            raise _FirstLayerFound(module)

    device = next(generator.parameters()).device
    latents, labels = prior.sample(0, "directions", 0, 1)
    hooks = [module.register_forward_pre_hook(stop) for module in generator.modules()]
    try:
        generator(latents.to(device), labels if labels is None else labels.to(device))
    except _FirstLayerFound as found:
        return found.layer
    finally:
        for hook in hooks:
            hook.remove()
    raise ValueError("the generator does not begin with a linear layer")
