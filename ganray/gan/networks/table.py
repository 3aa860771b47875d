"""Multi-layer perceptrons for tables: a residual generator with Gumbel-softmax choices, and a discriminator of rows.

Any columns of a row may be given. Conditions [N, width + columns] are their inputs, zero elsewhere, and which columns they are: the
generator completes the row, and the discriminator sees the row with the columns that were given.
"""

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganray.config.networks import TableNetworks
from ganray.gan.layouts.table import make_indices
from ganray.modalities.table.encoding import Encoding

FOLDS = 256.0  # uniforms go round so often over a standard deviation of their projection
CONDITION_GAIN = 16.0  # of conditions over latents: few rows have any one of them, so that its weights have to move faster


class TableGenerator(nn.Module):
    """Maps latents [N, latent_dim], and conditions [N, width + columns] or None, to rows [N, width]."""

    folding: Tensor
    block_inputs: Tensor
    choice_place: Tensor
    number_gate: Tensor
    input_column: Tensor

    def __init__(self, config: TableNetworks, encoding: Encoding) -> None:
        super().__init__()
        self.encoding, self.temperature, self.takes_given = encoding, config.temperature, config.given > 0
        self.num_choices = encoding.width - len(encoding.numbers)
        self.project = nn.Linear(config.latent_dim + num_conditions(encoding), config.width)
        with torch.no_grad():  # it starts no stronger: the gain is a learning rate of its own, as Karras et al. 2018 give layers
            self.project.weight[:, config.latent_dim :] /= CONDITION_GAIN
        self.blocks = nn.Sequential(*(ResidualBlock(config.width) for _ in range(config.depth)))
        self.norm = nn.LayerNorm(config.width)
        self.output = nn.Linear(config.width, encoding.width)
        self.register_buffer("folding", torch.randn(config.latent_dim, self.num_choices))
        index = make_indices(encoding, torch.device("cpu"))
        for name in ("block_inputs", "choice_place", "number_gate", "input_column"):
            self.register_buffer(name, getattr(index, name), persistent=False)

    def forward(self, latents: Tensor, conditions: Tensor | None = None) -> Tensor:
        """Return rows [N, width], of which the columns that are given are as given."""
        if conditions is None:
            conditions = latents.new_zeros(len(latents), num_conditions(self.encoding))
        features = self.blocks(self.project(torch.cat([latents, CONDITION_GAIN * conditions], dim=1)))
        outputs = self.output(F.relu(self.norm(features))).to(torch.promote_types(latents.dtype, torch.float32))
        numbers, logits = outputs.split([len(self.encoding.numbers), self.num_choices], dim=1)
        choices = self._choose(logits + self._gumbel(latents))
        gates = F.pad(choices, (0, 1), value=1.0)[:, self.number_gate]  # a number counts as far as no special value is chosen
        rows = torch.cat([numbers * gates, choices], dim=1)
        known, mask = conditions.split([self.encoding.width, len(self.encoding.num_choices)], dim=1)
        return torch.where(mask[:, self.input_column] > 0, known, rows)

    @torch.no_grad()
    def _gumbel(self, latents: Tensor) -> Tensor:
        """Return Gumbel noise [N, choices], which is a function of the latents: projections of them, folded to uniforms.

        Computed in float64, so that a sum in another order folds to the same.
        """
        uniforms = (latents.double() @ self.folding.double() * FOLDS).remainder(1.0).clamp(1e-9, 1 - 1e-9)
        return -torch.log(-torch.log(uniforms)).to(torch.promote_types(latents.dtype, torch.float32))

    def _choose(self, logits: Tensor) -> Tensor:
        """Return the softmax of perturbed logits over each block (Eq. 2 of Jang et al. 2017), at the temperature."""
        padded = F.pad(logits / self.temperature, (0, 1), value=-torch.inf)
        inputs = self.block_inputs - len(self.encoding.numbers)
        soft = padded[:, inputs].softmax(2).flatten(1)  # [N, blocks * largest size]
        return soft[:, self.choice_place]


class ResidualBlock(nn.Module):
    """A residual block of two layers, normalised before (Xiong et al. 2020)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.expand, self.contract = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, features: Tensor) -> Tensor:
        """Return features [N, width]."""
        change: Tensor = self.contract(F.relu(self.expand(F.relu(self.norm(features)))))
        return features + change


class TableDiscriminator(nn.Module):
    """Maps rows [N, width], and conditions [N, width + columns] or None, to logits [N] of being real."""

    def __init__(self, config: TableNetworks, encoding: Encoding) -> None:
        super().__init__()
        self.encoding = encoding
        widths = [encoding.width + len(encoding.num_choices), *[config.discriminator_width] * config.discriminator_depth]
        layers: list[nn.Module] = []
        for inputs, outputs in itertools.pairwise(widths):
            layers += [nn.Linear(inputs, outputs), nn.LeakyReLU(0.2, inplace=True)]
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], 1))

    def forward(self, rows: Tensor, conditions: Tensor | None = None) -> Tensor:
        """Return logits [N]."""
        columns = len(self.encoding.num_choices)
        known = rows.new_zeros(len(rows), columns) if conditions is None else conditions[:, -columns:]
        logits: Tensor = self.layers(torch.cat([rows, known], dim=1)).flatten()
        return logits


def num_conditions(encoding: Encoding) -> int:
    """Return the inputs that say what is given of a row."""
    return encoding.width + len(encoding.num_choices)
