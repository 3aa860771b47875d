"""Gradient penalties on the discriminator."""

import torch
from torch import Tensor


def r1_penalty(real_logits: Tensor, real_images: Tensor) -> Tensor:
    """Return |grad D(x)|^2, summed over C, H, W and averaged over the batch (Eq. 9 of Mescheder et al. 2018, without gamma/2).

    `real_images` [N, C, H, W] must require gradients and lead to `real_logits` [N].
    """
    (gradients,) = torch.autograd.grad(real_logits.sum(), real_images, create_graph=True)
    return gradients.to(torch.promote_types(gradients.dtype, torch.float32)).square().sum(dim=(1, 2, 3)).mean()
