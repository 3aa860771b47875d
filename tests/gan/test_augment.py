"""Differentiable augmentation: identity, range, gradients, the same for reals and fakes; and schedules."""

import pytest
import torch

from ganray.config import CosineCount, CosineRate
from ganray.config.schedules import value_at
from ganray.gan.augment import NUM_UNIFORMS, augment, change_colour, cut_out, mirror, translate
from ganray.gan.random_streams import RandomStream

POLICIES = ["color", "translation", "cutout"]


def uniforms(number: int) -> torch.Tensor:
    return torch.from_numpy(RandomStream(0, "test").uniforms(0, number, NUM_UNIFORMS)).float()


def images(number: int, *, channels: int = 3) -> torch.Tensor:
    return torch.rand(number, channels, 16, 24) * 2 - 1


def test_with_p_0_nothing_changes() -> None:
    batch = images(8)
    assert torch.equal(augment(batch, uniforms(8), POLICIES, p=0.0), batch)


def test_with_p_1_every_image_changes_and_stays_in_range() -> None:
    batch = images(64)
    changed = augment(batch, uniforms(64), POLICIES, p=1.0)
    assert changed.shape == batch.shape
    assert (changed - batch).flatten(1).abs().amax(1).min() > 0
    assert changed.abs().max() <= 1


def test_p_is_the_share_of_images_that_a_policy_changes() -> None:
    batch = images(4000, channels=1)
    changed = augment(batch, uniforms(4000), ["color"], p=0.3)
    assert ((changed - batch).flatten(1).abs().amax(1) > 0).float().mean().item() == pytest.approx(0.3, abs=0.03)


def test_the_same_numbers_change_reals_and_fakes_alike() -> None:
    batch, numbers = images(8), uniforms(8)
    twice = augment(torch.cat([batch, batch]), torch.cat([numbers, numbers]), POLICIES, p=1.0)
    assert torch.equal(twice[:8], twice[8:])


@pytest.mark.parametrize("policy", POLICIES)
def test_gradients_flow_through_each_operation_and_twice(policy: str) -> None:
    batch = (images(4) * 0.2).double().requires_grad_()  # far from the clamp at -1 and 1
    numbers = (uniforms(4).double() + 1) / 3
    changed = augment(batch, numbers, [policy], p=1.0)
    (gradient,) = torch.autograd.grad(changed.square().sum(), batch, create_graph=True)
    assert (gradient.flatten(1).abs().amax(1) > 0).all()
    (second,) = torch.autograd.grad(gradient.square().sum(), batch)
    assert (second.flatten(1).abs().amax(1) > 0).all()
    small = (torch.rand(2, 2, 4, 6, dtype=torch.float64) * 0.2).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: augment(x, numbers[:2], [policy], p=1.0), (small,))


def test_translation_moves_by_whole_pixels_and_fills_with_zero() -> None:
    batch = images(2)
    moved = translate(batch, torch.tensor([[0.999, 0.001], [0.5, 0.5]]))
    assert torch.equal(moved[1], batch[1])
    assert torch.equal(moved[0, :, 2:, :-3], batch[0, :, :-2, 3:])
    assert (moved[0, :, :2] == 0).all()
    assert (moved[0, :, :, -3:] == 0).all()


def test_cutout_blanks_half_of_each_side() -> None:
    holes = cut_out(torch.ones(1, 1, 16, 24), torch.tensor([[0.5, 0.5]]))[0, 0]
    assert (holes == 0).sum() == 8 * 12
    assert (holes[4:12, 6:18] == 0).all()


def test_colour_in_its_middle_is_the_identity() -> None:
    batch = images(2)
    assert torch.allclose(change_colour(batch, torch.full((2, 3), 0.5)), batch, atol=1e-6)


def test_a_schedule_goes_down_half_a_cosine_and_holds() -> None:
    schedule = CosineRate(start=2e-4, end=5e-5, images=1000)
    found = [value_at(schedule, seen) for seen in (0, 250, 500, 1000, 5000)]
    assert found == pytest.approx([2e-4, 1.7803e-4, 1.25e-4, 5e-5, 5e-5], rel=1e-4)
    assert value_at(CosineCount(start=0, end=100, images=10), 5) == pytest.approx(50)
    assert value_at(0.3, 12345) == 0.3


def test_half_of_the_reals_are_mirrored_by_their_index_alone() -> None:
    batch = images(4000)
    mirrored = mirror(batch, seed=1, attempt=0, start=640)
    is_mirrored = (mirrored != batch).flatten(1).any(1)
    assert torch.equal(mirrored[is_mirrored], batch[is_mirrored].flip(3))
    assert is_mirrored.float().mean().item() == pytest.approx(0.5, abs=0.03)
    parts = [mirror(part, seed=1, attempt=0, start=640 + start) for start, part in ((0, batch[:1000]), (1000, batch[1000:]))]
    assert torch.equal(torch.cat(parts), mirrored)


@pytest.mark.parametrize("other", [{"seed": 2}, {"attempt": 1}, {"start": 64}])
def test_other_reals_are_mirrored_with_another_seed_attempt_or_epoch(other: dict[str, int]) -> None:
    batch, key = images(64), {"seed": 1, "attempt": 0, "start": 0}
    assert not torch.equal(mirror(batch, **key), mirror(batch, **{**key, **other}))
