"""What a job can combine trains: kinds of networks, losses, penalties, augmentation, chosen pairwise, on one and two workers."""

import dataclasses
from itertools import combinations
from pathlib import Path

import pytest
import torch

from ganray.config import DiffAugment, NoAugment, Penalties, RelativisticLoss, WassersteinLoss
from ganray.gan.step import AdversarialStep, Recipe
from tests.helpers.cases import CONDITIONAL, LOSSES, UNNORMALISED
from tests.helpers.gan_runs import BATCH, NETWORKS, RECIPE, RESIDUAL, batch_at, new_state, on_ranks, weights_of

NUM_STEPS = 8  # each lazy penalty at least twice, each network at least four times
CHOICES = {
    "networks": [NETWORKS, UNNORMALISED, CONDITIONAL, RESIDUAL, RESIDUAL.model_copy(update={"conditional": True})],
    "loss": LOSSES,
    "penalties": [
        Penalties(),
        Penalties(r1_gamma=0.5),
        Penalties(r1_gamma=0.1, r2_gamma=0.1, every=4),
        Penalties(wgan_gp=10.0, every=2),
        Penalties(spectral_norm=True),
    ],
    "augment": [NoAugment(), DiffAugment(), DiffAugment(policies=["translation"], p=0.5)],
    "accumulate": [1, 2],
    "discriminator_steps": [1, 2],
}


def pairwise_cases() -> list[dict[str, int]]:
    """Return choices, by number, such that every two choices of different kinds meet in one of them."""
    kinds = list(CHOICES)
    missing = {(a, i, b, j) for a, b in combinations(kinds, 2) for i in range(len(CHOICES[a])) for j in range(len(CHOICES[b]))}
    cases = []
    while missing:
        a, i, b, j = min(missing)
        case = {a: i, b: j}
        for kind in kinds:
            if kind not in case:
                case[kind] = max(range(len(CHOICES[kind])), key=lambda number: len(covered({**case, kind: number}) & missing))
        missing -= covered(case)
        cases.append(case)
    return cases


def covered(case: dict[str, int]) -> set[tuple[str, int, str, int]]:
    """Return the pairs of choices in a case."""
    return {(a, case[a], b, case[b]) for a, b in combinations([kind for kind in CHOICES if kind in case], 2)}


def chosen(case: dict[str, int]) -> tuple[object, Recipe]:
    """Return the networks and the recipe of a case."""
    values = {kind: CHOICES[kind][number] for kind, number in case.items()}
    networks = values.pop("networks")
    return networks, dataclasses.replace(RECIPE, **values)


def train_all(*, rank: int, world_size: int) -> list[str]:
    """Train every case and return the problems."""
    torch.set_num_threads(1)
    return [f"{case}: {wrong}" for case in pairwise_cases() if (wrong := problem(*chosen(case), rank, world_size))]


def problem(networks: object, recipe: Recipe, rank: int, world_size: int) -> str | None:
    """Train for a few steps and return what is wrong with the weights or statistics, if anything."""
    state = new_state(networks, recipe)
    step, before = AdversarialStep(state, recipe), weights_of(state)
    stats = [step(batch_at(state.images_seen, networks, recipe, rank=rank, world_size=world_size)) for _ in range(NUM_STEPS)]
    after = weights_of(state)
    if any(stat[-1] for stat in stats) or not all(tensor.isfinite().all() for tensor in (*stats, *after.values())):
        return "not finite"
    trained = [name for name in after if name.endswith("weight") or name.endswith("original") or name.endswith("bias")]
    still = [name for name in trained if torch.equal(before[name], after[name])]
    if isinstance(recipe.loss, WassersteinLoss | RelativisticLoss):  # which see differences of logits only
        still = [name for name in still if name != "discriminator/decide.bias"]
    return f"unchanged: {still}" if still else None


def test_every_pair_of_choices_meets() -> None:
    cases = pairwise_cases()
    assert len(cases) >= 30
    assert {kind: {case[kind] for case in cases} for kind in CHOICES} == {kind: set(range(len(values))) for kind, values in CHOICES.items()}


@pytest.mark.parametrize("world_size", [1, 2])
def test_pairs_of_choices_train_with_finite_changing_weights(tmp_path: Path, world_size: int) -> None:
    assert BATCH % (NETWORKS.ghost_batch * 2 * world_size) == 0
    for problems in on_ranks(world_size, tmp_path, train_all):
        assert problems == []
