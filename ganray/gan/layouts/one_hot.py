"""The layout of token ids: one-hot for networks, whose outputs are probabilities of tokens."""

from dataclasses import dataclass

import torch
from torch import Tensor

END = 0  # the token that ends a text


@dataclass(frozen=True)
class OneHotLayout:
    """Texts of `length` tokens out of `num_tokens`."""

    num_tokens: int
    length: int

    @property
    def shape(self) -> tuple[int, int]:
        """(tokens that differ, tokens of a text)."""
        return self.num_tokens, self.length

    def from_samples(self, samples: Tensor) -> Tensor:
        """Return token ids [N, L] as one-hot float32 [N, V, L]."""
        texts = torch.zeros(len(samples), self.num_tokens, self.length, device=samples.device)
        return texts.scatter_(1, samples.long()[:, None], 1.0)

    def to_samples(self, outputs: Tensor) -> Tensor:
        """Return the most probable tokens [N, L] of probabilities [N, V, L]; what follows the first end is an end, too."""
        tokens = outputs.argmax(1)
        ended = (tokens == END).cumsum(1) > 0
        return tokens.masked_fill(ended, END).to(torch.uint8 if self.num_tokens <= 256 else torch.int16)
