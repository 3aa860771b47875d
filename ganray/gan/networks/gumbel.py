"""Gumbel-softmax (Jang et al. 2017; Maddison et al. 2017): draws of tokens through which gradients pass, by noise that latents decide.

The noise is a hash of the latents, the position and the token (32 bits, multiplications and shifts with the constants that Wellons found
for the least bias): a function of the sample, as the latents are, on any rank and device, at no cost in memory.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

STEPS = 1 << 16  # of a latent's unit, by which noise tells latents apart; a power of two, so that scaling is exact
MASK = (1 << 32) - 1
BITS = 23  # of a uniform number, all of which float32 holds


def draw_tokens(logits: Tensor, noise: Tensor, temperature: float) -> Tensor:
    """Return tokens drawn from the softmax of logits [N, V], one-hot [N, V], by standard Gumbel noise [N, V].

    Their gradient is that of the softmax at a temperature: the straight-through estimator.
    """
    noisy = logits + noise
    tokens = F.one_hot(noisy.argmax(1), noisy.shape[1]).to(noisy.dtype)
    if not torch.is_grad_enabled():
        return tokens
    relaxed = (noisy / temperature).softmax(1)
    return tokens + (relaxed - relaxed.detach())


def gumbel_noise(keys: Tensor, start: int, size: int) -> Tensor:
    """Return standard Gumbel noise, float32 [N, size], of samples with keys [N]: numbers `start` to `start + size - 1` of each."""
    counters = _hash(torch.arange(start, start + size, device=keys.device))
    uniforms = ((_hash(counters ^ keys[:, None]) >> (32 - BITS)).float() + 0.5) * 2.0**-BITS
    return -(-uniforms.log()).log()


def noise_keys(latents: Tensor) -> Tensor:
    """Return the keys int64 [N] of latents [N, latent_dim], below 2^32."""
    steps = (latents.detach() * STEPS).floor().long()
    weights = _hash(torch.arange(1, latents.shape[1] + 1, device=latents.device))
    return _hash((steps * weights).sum(1) & MASK)


def _hash(numbers: Tensor) -> Tensor:
    """Return a permutation of the numbers below 2^32, int64, in which they look random."""
    numbers = ((numbers ^ (numbers >> 16)) * 0x21F0AAAD) & MASK
    numbers = ((numbers ^ (numbers >> 15)) * 0x735A2D97) & MASK
    return numbers ^ (numbers >> 15)
