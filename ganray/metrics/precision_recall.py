"""Precision, recall, density and coverage of fakes against reals, by k-nearest-neighbour balls in feature space."""

import torch
from torch import Tensor

from ganray.errors import DataError

CHUNK = 2048  # features whose distances to as many others are in memory at once


def precision_recall(reals: Tensor, fakes: Tensor, neighbours: int) -> dict[str, float]:
    """Return precision and recall (Kynkaanniemi et al. 2019, Eq. 1-3), density and coverage (Naeem et al. 2020, Eq. 3-4).

    `reals` [N, D] and `fakes` [M, D] are float32 features on one device. A ball's radius is the distance to the
    `neighbours`-th nearest other feature of its own set; raises `DataError` for a set that is too small. All values are in 0 to 1,
    but density, which may be more.
    """
    centre = reals.mean(0)  # distances lose fewer digits near the origin
    reals, fakes = reals - centre, fakes - centre
    real_radii, fake_radii = _squared_radii(reals, neighbours), _squared_radii(fakes, neighbours)
    num_balls = torch.zeros(len(fakes), dtype=torch.int64, device=fakes.device)  # of reals that hold each fake
    num_recalled = torch.zeros((), dtype=torch.int64, device=fakes.device)
    num_covered = torch.zeros_like(num_recalled)
    for rows, radii in zip(reals.split(CHUNK), real_radii.split(CHUNK), strict=True):
        covered = torch.zeros(len(rows), dtype=torch.bool, device=rows.device)
        recalled = torch.zeros_like(covered)
        for columns, reach, balls in zip(fakes.split(CHUNK), fake_radii.split(CHUNK), num_balls.split(CHUNK), strict=True):
            distances = _squared_distances(rows, columns)  # [chunk, chunk]
            inside = distances <= radii[:, None]
            balls += inside.sum(0)  # a view
            covered |= inside.any(1)
            recalled |= (distances <= reach).any(1)
        num_covered += covered.sum()
        num_recalled += recalled.sum()
    return {
        "precision": (num_balls > 0).float().mean().item(),
        "recall": num_recalled.item() / len(reals),
        "density": num_balls.sum().item() / (neighbours * len(fakes)),
        "coverage": num_covered.item() / len(reals),
    }


def _squared_radii(features: Tensor, neighbours: int) -> Tensor:
    """Return each row's squared distance to its k-th nearest other row, [N]."""
    if len(features) <= neighbours:
        problem = f"expected fewer neighbours than samples, got {neighbours} of {len(features)}"
        raise DataError("evaluate.neighbours", problem, f"use at most {len(features) - 1}")
    radii = []
    for start in range(0, len(features), CHUNK):
        rows = features[start : start + CHUNK]
        nearest = rows.new_full((len(rows), neighbours), torch.inf)
        for column in range(0, len(features), CHUNK):
            distances = _squared_distances(rows, features[column : column + CHUNK])
            if column == start:
                distances.fill_diagonal_(torch.inf)  # a row is not its own neighbour
            nearest = torch.cat([nearest, distances], dim=1).topk(neighbours, dim=1, largest=False).values
        radii.append(nearest[:, -1])
    return torch.cat(radii)


def _squared_distances(a: Tensor, b: Tensor) -> Tensor:
    """Return |a_i|^2 + |b_j|^2 - 2 a_i b_j, [len(a), len(b)]."""
    return torch.addmm(b.square().sum(1), a, b.T, alpha=-2).add_(a.square().sum(1, keepdim=True))
