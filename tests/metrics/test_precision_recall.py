"""Precision, recall, density and coverage against a sum done by hand and against plain numpy."""

import numpy as np
import pytest
import torch
from torch import Tensor

from ganray.errors import GanrayError
from ganray.metrics.precision_recall import precision_recall


def points(seed: int, number: int, scale: float = 1.0) -> Tensor:
    return torch.randn(number, 6, generator=torch.Generator().manual_seed(seed)) * scale + 30


def by_definition(reals: np.ndarray, fakes: np.ndarray, neighbours: int) -> dict[str, float]:
    """All four with whole matrices of distances, float64."""

    def distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.linalg.norm(a[:, None] - b[None], axis=2)

    real_radii = np.sort(distances(reals, reals), axis=1)[:, neighbours]  # column 0 is the point itself
    fake_radii = np.sort(distances(fakes, fakes), axis=1)[:, neighbours]
    between = distances(reals, fakes)
    in_real_ball = between <= real_radii[:, None]
    return {
        "precision": in_real_ball.any(0).mean(),
        "recall": (between <= fake_radii[None]).any(1).mean(),
        "density": in_real_ball.sum() / (neighbours * len(fakes)),
        "coverage": in_real_ball.any(1).mean(),
    }


def test_three_points_on_a_line_agree_with_the_sum_by_hand() -> None:
    reals, fakes = torch.tensor([[0.0], [1.0], [3.0]]), torch.tensor([[0.4], [10.0], [11.0]])
    # The reals' balls are [-1, 1], [0, 2] and [1, 5]: 0.4 lies in two of them, 10 and 11 in none.
    # The fakes' balls are [-9.2, 10], [9, 11] and [10, 12]: the first holds every real.
    expected = {"precision": 1 / 3, "recall": 1.0, "density": 2 / 3, "coverage": 2 / 3}
    assert precision_recall(reals, fakes, 1) == pytest.approx(expected)


@pytest.mark.parametrize("neighbours", [1, 5])
def test_chunks_give_what_whole_matrices_give(monkeypatch: pytest.MonkeyPatch, neighbours: int) -> None:
    monkeypatch.setattr("ganray.metrics.precision_recall.CHUNK", 64)
    reals, fakes = points(0, 300), points(1, 170, scale=1.2)
    expected = by_definition(reals.double().numpy(), fakes.double().numpy(), neighbours)
    assert 0.05 < expected["precision"] < 0.95
    assert precision_recall(reals, fakes, neighbours) == pytest.approx(expected, abs=1e-6)


def test_fakes_of_one_mode_are_precise_but_recall_little() -> None:
    two_modes = torch.cat([points(2, 200, 0.1), points(3, 200, 0.1) + 50])
    one_mode, both_modes = points(4, 200, 0.1), torch.cat([points(4, 200, 0.1), points(5, 200, 0.1) + 50])
    collapsed, fair = precision_recall(two_modes, one_mode, 5), precision_recall(two_modes, both_modes, 5)
    assert collapsed["precision"] > 0.8
    assert max(collapsed["recall"], collapsed["coverage"]) <= 0.5
    assert min(fair["recall"], fair["coverage"]) > 0.8


def test_copies_of_the_reals_are_perfect() -> None:
    reals = points(6, 100)
    scores = precision_recall(reals, reals.clone(), 3)
    assert (scores["precision"], scores["recall"], scores["coverage"]) == (1.0, 1.0, 1.0)


def test_too_few_samples_for_the_neighbours_are_a_users_mistake() -> None:
    with pytest.raises(GanrayError, match=r"evaluate\.neighbours: expected .* got 5 of 5; use at most 4"):
        precision_recall(points(7, 50), points(8, 5), 5)
