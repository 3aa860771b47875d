"""One adversarial step: losses, penalties, who moves, and two workers against one."""

import math
from pathlib import Path

import pytest
import torch
from torch import nn

from ganray.gan.average import average_decay, update_average
from ganray.gan.draws import Draws
from ganray.gan.losses import discriminator_loss, generator_loss
from ganray.gan.penalties import r1_penalty
from ganray.gan.state import create_state, unchanged
from ganray.gan.step import AdversarialStep
from tests.unit.gan_runs import BATCH, NETWORKS, OPTIMIZER, RECIPE, SHAPE, gradients, on_ranks, real_images, run_steps, weights_after


def test_losses_equal_hand_computed_values() -> None:
    real, fake = torch.tensor([0.0, 2.0], dtype=torch.float64), torch.tensor([0.0, -1.0], dtype=torch.float64)
    on_reals = (math.log(2) + math.log(1 + math.exp(-2))) / 2
    on_fakes = (math.log(2) + math.log(1 + math.exp(-1))) / 2
    assert discriminator_loss(real, fake).item() == pytest.approx(on_reals + on_fakes, rel=1e-12)
    assert generator_loss(fake).item() == pytest.approx((math.log(2) + math.log(1 + math.e)) / 2, rel=1e-12)


def test_losses_have_right_gradients() -> None:
    real, fake = (torch.randn(5, dtype=torch.float64, requires_grad=True) for _ in range(2))
    assert torch.autograd.gradcheck(discriminator_loss, (real, fake))
    assert torch.autograd.gradcheck(generator_loss, (fake,))


def test_r1_of_a_linear_discriminator_is_its_squared_weights() -> None:
    linear = nn.Linear(12, 1, dtype=torch.float64)
    images = torch.randn(5, 3, 2, 2, dtype=torch.float64, requires_grad=True)
    penalty = r1_penalty(linear(images.flatten(1)).flatten(), images)
    assert penalty.item() == pytest.approx(linear.weight.square().sum().item(), rel=1e-12)
    penalty.backward()
    assert torch.allclose(linear.weight.grad, 2 * linear.weight, rtol=1e-12)


def test_each_half_of_a_step_leaves_the_other_network_untouched() -> None:
    state = create_state(NETWORKS, OPTIMIZER, SHAPE, seed=0, device=torch.device("cpu"))
    step = AdversarialStep(state, RECIPE)
    seen: dict[str, list[torch.Tensor]] = {"generator": [], "discriminator": []}

    def note(*_: object) -> None:
        for name, network in (("generator", state.generator), ("discriminator", state.discriminator)):
            seen[name].append(torch.cat([p.detach().flatten().clone() for p in network.parameters()]))

    note()
    state.discriminator_optimizer.register_step_post_hook(note)
    state.generator_optimizer.register_step_post_hook(note)
    step(real_images(0), torch.randn(BATCH, NETWORKS.latent_dim))
    start, after_discriminator, after_generator = range(3)
    assert torch.equal(seen["generator"][start], seen["generator"][after_discriminator])
    assert not torch.equal(seen["discriminator"][start], seen["discriminator"][after_discriminator])
    assert torch.equal(seen["discriminator"][after_discriminator], seen["discriminator"][after_generator])
    assert not torch.equal(seen["generator"][after_discriminator], seen["generator"][after_generator])
    assert all(p.grad is None for p in [*state.generator.parameters(), *state.discriminator.parameters()])


@pytest.mark.parametrize("r1_gamma", [0.0, 0.5])
def test_two_workers_have_the_gradients_of_one(tmp_path: Path, r1_gamma: float) -> None:
    one = gradients(rank=0, world_size=1, r1_gamma=r1_gamma)
    for two in on_ranks(2, tmp_path, gradients, r1_gamma=r1_gamma):
        assert two.keys() == one.keys()
        for name, gradient in one.items():
            assert (two[name] - gradient).norm() <= 1e-6 * gradient.norm(), name


def test_two_workers_end_where_one_does_after_20_steps(tmp_path: Path) -> None:
    settings = {"num_steps": 20, "dtype": torch.float64, "r1_gamma": 0.5}
    one = weights_after(rank=0, world_size=1, **settings)
    first, second = on_ranks(2, tmp_path, weights_after, **settings)
    for name, weights in one.items():
        assert torch.equal(first[name], second[name]), name
        assert torch.allclose(first[name], weights, rtol=1e-8, atol=1e-10), name


def test_a_state_that_was_saved_and_loaded_goes_on_bit_by_bit() -> None:
    whole = run_steps(6, rank=0, world_size=1, dtype=torch.float32)
    first = run_steps(3, rank=0, world_size=1, dtype=torch.float32)
    second = create_state(NETWORKS, OPTIMIZER, SHAPE, seed=99, device=torch.device("cpu"))
    second.load_state_dict(first.state_dict())
    assert second.images_seen == 3 * BATCH
    step = AdversarialStep(second, RECIPE)
    for _ in range(3):
        latents = Draws(3, "latents").normals(second.images_seen, BATCH, NETWORKS.latent_dim)
        step(real_images(second.images_seen), latents)
    for name, part in whole.state_dict()["generator_average"].items():
        assert torch.equal(part, second.generator_average.state_dict()[name]), name


def test_a_warm_up_leaves_no_trace() -> None:
    state = run_steps(2, rank=0, world_size=1, dtype=torch.float32)
    before = {name: weights.clone() for name, weights in state.generator.state_dict().items()}
    step = AdversarialStep(state, RECIPE)
    with unchanged(state):
        step(real_images(0), torch.randn(BATCH, NETWORKS.latent_dim))
        assert state.images_seen == 3 * BATCH
    assert state.images_seen == 2 * BATCH
    assert all(torch.equal(before[name], weights) for name, weights in state.generator.state_dict().items())


def test_average_moves_by_its_half_life() -> None:
    average, network = nn.Linear(1, 1), nn.Linear(1, 1)
    nn.init.constant_(average.weight, 0.0)
    nn.init.constant_(network.weight, 8.0)
    for seen in (1000, 2000, 3000):  # far past the ramp, a step of one half-life each
        update_average(average, network, average_decay(100 * seen, 1000, 1000))
    assert average.weight.item() == pytest.approx(8 * (1 - 0.5**3))


def test_average_follows_at_once_in_the_beginning() -> None:
    assert average_decay(64, 64, 10_000) == pytest.approx(0.5 ** (1 / 0.05))
    assert average_decay(10_000_000, 64, 10_000) == pytest.approx(0.5**0.0064)
