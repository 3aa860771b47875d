"""Directions of latents by factorisation of a generator's first layer."""

import pytest
import torch
from torch import Tensor, nn

from ganray.config import DcganNetworks, R3ganNetworks
from ganray.gan.directions import find_directions, first_layer
from ganray.gan.networks import build_generator
from ganray.gan.prior import Prior

SHAPE = (1, 16, 16)


class Linear(nn.Module):
    """A generator whose first layer stretches the axes of latents by known factors."""

    def __init__(self, factors: list[float]) -> None:
        super().__init__()
        self.first = nn.Linear(len(factors), len(factors), bias=False)
        self.first.weight.data = torch.diag(torch.tensor(factors))

    def forward(self, latents: Tensor, labels: Tensor | None) -> Tensor:
        return torch.tanh(self.first(latents))


def test_the_axes_that_are_stretched_most_come_first() -> None:
    found = find_directions(Linear([0.5, 3.0, 1.0]), Prior(3), 3)
    torch.testing.assert_close(found.vectors, torch.eye(3)[[1, 2, 0]])
    torch.testing.assert_close(found.gains, torch.tensor([3.0, 1.0, 0.5]))


@pytest.mark.parametrize("shares", [(), (0.5, 0.5)])
@pytest.mark.parametrize("config", [DcganNetworks(width=8, latent_dim=8, ghost_batch=4), R3ganNetworks(width=8, latent_dim=8, depth=1)])
def test_any_family_has_orthogonal_directions_in_its_first_layer(config: DcganNetworks | R3ganNetworks, shares: tuple[float, ...]) -> None:
    generator = build_generator(config, SHAPE, len(shares)).eval()
    prior = Prior(8, shares)
    assert first_layer(generator, prior) is generator.project
    found = find_directions(generator, prior, 5)
    torch.testing.assert_close(found.vectors @ found.vectors.T, torch.eye(5), atol=1e-5, rtol=0)
    passed_on = (generator.project.weight[:, :8] @ found.vectors.T).norm(dim=0)
    torch.testing.assert_close(passed_on, found.gains)
    assert (found.gains.diff() <= 0).all()


def test_a_generator_without_a_linear_layer_and_too_many_directions_are_errors() -> None:
    class Convolutional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Conv1d(1, 1, 1)

        def forward(self, latents: Tensor, labels: Tensor | None) -> Tensor:
            return self.layer(latents[:, None])

    with pytest.raises(ValueError, match="does not begin with a linear layer"):
        find_directions(Convolutional(), Prior(3), 1)
    with pytest.raises(ValueError, match="expected 1 to 3 directions, got 4"):
        find_directions(Linear([1.0, 1.0, 1.0]), Prior(3), 4)
