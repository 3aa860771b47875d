"""Baselines for tables: SMOTE between neighbours of a class, and a plain WGAN-GP perceptron of min-max numbers and one-hot categories."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganray.metrics.tables.values import ColumnValues, Values, take

NEIGHBOURS = 5
CHUNK = 500
LATENT_DIM, WIDTH, BATCH, CRITIC_STEPS, PENALTY = 128, 256, 500, 5, 10.0


def smote(train: Values, target: int, number: int, *, seed: int = 0) -> list[ColumnValues]:
    """Return rows between a random row and one of its nearest neighbours of the same class (Chawla et al. 2002).

    Numbers are interpolated and rounded to integers, as all of Adult's are; a category is that of either row.
    """
    random = np.random.default_rng(seed)
    first = random.integers(0, len(train[0]), number)
    second = _neighbours(one_hot(train), train[target].values)[first, random.integers(0, NEIGHBOURS, number)]
    ends = [take(train, rows) for rows in (first, second)]
    weight, side = random.random(number), random.random((len(train), number)) < 0.5
    made = []
    for place, (a, b) in enumerate(zip(*ends, strict=True)):
        values = np.round(a.values + weight * (b.values - a.values)) if a.is_number else np.where(side[place], a.values, b.values)
        made.append(ColumnValues(values, a.num_categories))
    return made


def _neighbours(rows: Tensor, classes: np.ndarray) -> np.ndarray:
    """Return the nearest other rows of the same class, [N, NEIGHBOURS]."""
    found = np.zeros((len(rows), NEIGHBOURS), np.int64)
    for label in np.unique(classes):
        members = np.flatnonzero(classes == label)
        same = rows[torch.from_numpy(members)]
        for start in range(0, len(members), CHUNK):
            distances = torch.cdist(same[start : start + CHUNK], same)
            distances[torch.arange(len(distances)), torch.arange(start, start + len(distances))] = torch.inf
            found[members[start : start + CHUNK]] = members[distances.topk(NEIGHBOURS, largest=False).indices.numpy()]
    return found


def one_hot(columns: Values) -> Tensor:
    """Return columns as float32 [N, width]: numbers by their range in [0, 1], categories one-hot."""
    parts = []
    for column in columns:
        if column.is_number:
            low, high = column.values.min(), column.values.max()
            parts.append(torch.from_numpy((column.values - low) / (high - low)).float()[:, None])
        else:
            parts.append(F.one_hot(torch.from_numpy(column.values), column.num_categories).float())
    return torch.cat(parts, dim=1)


class PlainTable:
    """WGAN-GP (Gulrajani et al. 2017) of two perceptrons: five critic steps for one of the generator, Adam at 1e-4."""

    name = "plain WGAN-GP"

    def __init__(self, train: Values, *, seed: int = 0) -> None:
        torch.manual_seed(seed)
        self.columns, self.rows = train, one_hot(train) * 2 - 1
        width = self.rows.shape[1]
        self.generator = _perceptron(LATENT_DIM, width, nn.ReLU())
        self.critic = _perceptron(width, 1, nn.LeakyReLU(0.2))
        self.optimizers = [torch.optim.Adam(network.parameters(), lr=1e-4, betas=(0.5, 0.9)) for network in (self.generator, self.critic)]

    def step(self) -> None:
        """Train the critic five times, then the generator."""
        for _ in range(CRITIC_STEPS):
            reals, fakes = self.rows[torch.randint(len(self.rows), (BATCH,))], self._generate(BATCH).detach()
            weight = torch.rand(BATCH, 1)
            between = (weight * reals + (1 - weight) * fakes).requires_grad_()
            (gradients,) = torch.autograd.grad(self.critic(between).sum(), between, create_graph=True)
            penalty = (gradients.norm(dim=1) - 1).square().mean()
            self._update(1, self.critic(fakes).mean() - self.critic(reals).mean() + PENALTY * penalty)
        self._update(0, -self.critic(self._generate(BATCH)).mean())

    def set_progress(self, done: float) -> None:
        """The baseline has no schedule."""

    @torch.no_grad()
    def rows_of(self, number: int) -> list[ColumnValues]:
        """Return generated columns [number]: numbers in their range, rounded, and the likeliest category."""
        torch.manual_seed(1)
        parts = self._generate(number).split(self._sizes(), dim=1)
        made = []
        for known, part in zip(self.columns, parts, strict=True):
            if known.is_number:
                low, high = known.values.min(), known.values.max()
                made.append(ColumnValues(np.round(low + (part[:, 0].double().numpy() + 1) / 2 * (high - low))))
            else:
                made.append(ColumnValues(part.argmax(1).numpy(), known.num_categories))
        return made

    def _update(self, which: int, loss: Tensor) -> None:
        self.optimizers[which].zero_grad()
        loss.backward()
        self.optimizers[which].step()

    def _generate(self, number: int) -> Tensor:
        parts = self.generator(torch.randn(number, LATENT_DIM)).split(self._sizes(), dim=1)
        return torch.cat(
            [part.tanh() if column.is_number else part.softmax(1) * 2 - 1 for column, part in zip(self.columns, parts, strict=True)], 1
        )

    def _sizes(self) -> list[int]:
        return [column.num_categories or 1 for column in self.columns]


def _perceptron(inputs: int, outputs: int, activation: nn.Module) -> nn.Sequential:
    layers: Sequence[nn.Module] = (nn.Linear(inputs, WIDTH), activation, nn.Linear(WIDTH, WIDTH), activation, nn.Linear(WIDTH, outputs))
    return nn.Sequential(*layers)
