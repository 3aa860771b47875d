"""Class conditioning of generators: a label embedding concatenated to the latents (Mirza and Osindero 2014)."""

import torch
from torch import Tensor, nn


def with_labels(latents: Tensor, labels: Tensor | None, embed: nn.Embedding | None) -> Tensor:
    """Return latents [N, latent_dim] with the embeddings of labels [N] appended, [N, 2 latent_dim]; without `embed`, the latents.

    Raises ValueError if a conditional generator is called without labels.
    """
    if embed is None:
        return latents
    if labels is None:
        raise ValueError(
            f"this generator is conditional: call it with latents and labels [N], integers from 0 to {embed.num_embeddings - 1}"
        )
    return torch.cat([latents, embed(labels)], dim=1)
