"""Sentences token by token: a gated recurrent layer (Cho et al. 2014) draws each token by Gumbel-softmax from those before it.

The same network is a language model: given texts, it returns how probable each of their tokens is after those before it, by which it is
trained for likelihood before it is trained against the discriminator, which is that of `text_conv`.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganray.config import TextRecurrentNetworks
from ganray.gan.layouts.one_hot import END
from ganray.gan.networks.gumbel import draw_tokens, gumbel_noise, noise_keys
from ganray.gan.networks.labels import with_labels


class TextRecurrentGenerator(nn.Module):
    """Maps latents [N, latent_dim], and labels [N] if conditional, to one-hot tokens [N, V, L].

    `sampling_temperature` divides the logits of tokens that are drawn: below 1, the more probable ones are drawn more often.
    """

    def __init__(self, config: TextRecurrentNetworks, shape: tuple[int, int], num_classes: int) -> None:
        super().__init__()
        self.vocabulary, self.length = shape
        self.temperature, self.sampling_temperature = config.temperature, 1.0
        self.embed = nn.Embedding(num_classes, config.latent_dim) if num_classes else None
        self.begin = nn.Linear(config.latent_dim * (2 if num_classes else 1), config.units)
        self.read = nn.Embedding(self.vocabulary, config.units)
        self.gates = nn.Linear(2 * config.units, 2 * config.units)
        self.change = nn.Linear(2 * config.units, config.units)
        self.decide = nn.Linear(config.units, self.vocabulary)
        nn.init.normal_(self.read.weight, 0.0, 1 / math.sqrt(config.units))

    def forward(self, latents: Tensor, labels: Tensor | None = None, texts: Tensor | None = None) -> Tensor:
        """Return drawn tokens [N, V, L], or, of texts [N, V, L], the logarithm of each token's probability after those before it."""
        begin = self.begin(with_labels(latents, labels, self.embed))  # [N, units]
        return self._draw(begin, noise_keys(latents)) if texts is None else self._judge(begin, texts)

    def _draw(self, begin: Tensor, keys: Tensor) -> Tensor:
        token = end = _end_tokens(self.vocabulary, begin)
        state, going_on, tokens = torch.tanh(begin), torch.ones_like(end[:, :1]), []
        for position in range(self.length):
            state = self._step(begin, token, state)
            logits = self.decide(state).to(end.dtype) / self.sampling_temperature
            noise = gumbel_noise(keys, position * self.vocabulary, self.vocabulary).to(end.dtype)
            token = draw_tokens(logits, noise, self.temperature) * going_on + end * (1 - going_on)
            going_on = going_on * (1 - token[:, END, None].detach())
            tokens.append(token)
        return torch.stack(tokens, dim=2)

    def _judge(self, begin: Tensor, texts: Tensor) -> Tensor:
        state, states = torch.tanh(begin), []
        end = _end_tokens(self.vocabulary, texts)
        for token in (end, *texts.unbind(2)[:-1]):
            state = self._step(begin, token, state)
            states.append(state)
        logits: Tensor = self.decide(torch.stack(states, dim=1))  # [N, L, V]
        return logits.to(texts.dtype).log_softmax(2).transpose(1, 2)

    def _step(self, begin: Tensor, token: Tensor, state: Tensor) -> Tensor:
        """Return the state [N, units] after a token [N, V], one-hot. What is made of the latents is read again at every step."""
        passes_gradient = token.requires_grad  # else it is read by its number, which is faster
        read = begin + (token @ self.read.weight if passes_gradient else self.read(token.argmax(1)))
        update, reset = self.gates(torch.cat([read, state], dim=1)).sigmoid().chunk(2, dim=1)
        changed: Tensor = torch.tanh(self.change(torch.cat([read, reset * state], dim=1)))
        return torch.lerp(changed, state, update)


def _end_tokens(vocabulary: int, like: Tensor) -> Tensor:
    """Return the token of an end, one-hot, for each row of a tensor: [N, V]."""
    end = F.one_hot(torch.full((), END, device=like.device), vocabulary)
    return end.to(torch.promote_types(like.dtype, torch.float32)).expand(like.shape[0], -1)
