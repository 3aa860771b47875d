"""One adversarial step: which network is trained, what a state holds, and two workers against one."""

import dataclasses
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import nn

from ganray.config import Adam, Optimizer, R3ganNetworks
from ganray.gan.ema import ema_decay, update_ema
from ganray.gan.state import compile_networks, unchanged
from ganray.gan.stats import STATS
from ganray.gan.step import AdversarialStep
from tests.helpers.cases import CASES, PLAIN, UNNORMALISED
from tests.helpers.gan_runs import (
    BATCH,
    NETWORKS,
    RECIPE,
    batch_at,
    go_on,
    gradients,
    new_state,
    on_ranks,
    run_steps,
    weights_after,
    weights_of,
    with_penalties,
)


def test_each_half_of_a_step_leaves_the_other_network_untouched() -> None:
    state = new_state()
    step = AdversarialStep(state, RECIPE)
    seen: dict[str, list[torch.Tensor]] = {"generator": [], "discriminator": []}

    def note(*_: object) -> None:
        for name, network in (("generator", state.generator), ("discriminator", state.discriminator)):
            seen[name].append(torch.cat([p.detach().flatten().clone() for p in network.parameters()]))

    note()
    state.discriminator_optimizer.register_step_post_hook(note)
    state.generator_optimizer.register_step_post_hook(note)
    step(batch_at(0))
    start, after_discriminator, after_generator = range(3)
    assert torch.equal(seen["generator"][start], seen["generator"][after_discriminator])
    assert not torch.equal(seen["discriminator"][start], seen["discriminator"][after_discriminator])
    assert torch.equal(seen["discriminator"][after_discriminator], seen["discriminator"][after_generator])
    assert not torch.equal(seen["generator"][after_discriminator], seen["generator"][after_generator])
    assert all(p.grad is None for p in [*state.generator.parameters(), *state.discriminator.parameters()])


@pytest.mark.parametrize("world_size", [2, 3])  # three have 4, 4 and 8 of the 16 samples
def test_several_workers_have_the_gradients_of_one(world_size: int, tmp_path: Path) -> None:
    one = gradients(CASES, rank=0, world_size=1)
    for two in on_ranks(world_size, tmp_path, gradients, cases=CASES):
        for case, expected in one.items():
            assert two[case].keys() == expected.keys()
            for network in {name.partition("/")[0] for name in expected}:  # a gradient that is nearly zero is noise of the others' size
                names = [name for name in expected if name.startswith(network)]
                whole = torch.cat([expected[name].flatten() for name in names])
                gap = torch.cat([(two[case][name] - expected[name]).flatten() for name in names])
                assert gap.norm() <= 1e-6 * whole.norm(), f"{case}: {network}"


def test_two_workers_end_where_one_does_after_20_steps(tmp_path: Path) -> None:
    one = weights_after(20, CASES, rank=0, world_size=1)
    first, second = on_ranks(2, tmp_path, weights_after, num_steps=20, cases=CASES)
    for case, expected in one.items():
        for name, weights in expected.items():
            assert torch.equal(first[case][name], second[case][name]), f"{case}: {name}"
            assert torch.allclose(first[case][name], weights, rtol=1e-7, atol=1e-9), f"{case}: {name}"


def test_a_run_whose_number_of_workers_changes_ends_where_an_unbroken_one_does(tmp_path: Path) -> None:
    cases = {"everything": CASES["everything"]}
    unbroken = go_on(None, 200, cases, rank=0, world_size=1)
    saved = None
    for number, world_size in enumerate((2, 1, 3, 2)):
        folder = tmp_path / str(number)
        folder.mkdir()
        saved = on_ranks(world_size, folder, go_on, saved=saved, num_steps=50, cases=cases)[0]
    for case, expected in unbroken.items():
        assert saved is not None
        assert saved[case]["images_seen"] == 200 * BATCH
        for network in ("generator", "discriminator", "generator_ema"):
            for name, weights in expected[network].items():
                assert torch.allclose(saved[case][network][name], weights, rtol=1e-6, atol=1e-9), f"{case}: {network}: {name}"


@pytest.mark.parametrize("case", ["everything", "spectral norm", "conditional", "pretrained sentences"])
def test_a_state_that_was_saved_and_loaded_goes_on_bit_by_bit(case: str) -> None:
    networks, recipe = CASES[case]
    whole = weights_of(run_steps(7, networks=networks, recipe=recipe))
    first = run_steps(3, networks=networks, recipe=recipe)
    second = new_state(networks, recipe, seed=99)
    second.load_state_dict(first.state_dict())
    assert second.images_seen == 3 * BATCH
    resumed = weights_of(run_steps(4, networks=networks, recipe=recipe, state=second))
    assert resumed.keys() == whole.keys()
    assert all(torch.equal(whole[name], weights) for name, weights in resumed.items())


def test_a_job_s_rates_win_over_those_of_a_checkpoint() -> None:
    state = run_steps(2)
    slower = Optimizer(generator=Adam(lr=1e-5, beta1=0.1), discriminator=Adam(lr=2e-5))
    AdversarialStep(state, dataclasses.replace(RECIPE, optimizer=slower))(batch_at(state.images_seen))
    (group,) = state.generator_optimizer.param_groups
    assert (group["lr"], group["betas"]) == (1e-5, (0.1, 0.999))
    assert state.discriminator_optimizer.param_groups[0]["lr"] == 2e-5


def test_accumulating_a_batch_in_parts_gives_the_gradients_of_the_whole() -> None:
    parts = {str(parts): (NETWORKS, dataclasses.replace(RECIPE, accumulate=parts)) for parts in (1, 2, 4)}
    found = gradients(parts, rank=0, world_size=1)
    for name, gradient in found["1"].items():
        for number in ("2", "4"):
            assert (found[number][name] - gradient).norm() <= 1e-5 * gradient.norm() + 1e-8, name


def test_the_generator_trains_at_every_nth_step_only() -> None:
    recipe = dataclasses.replace(PLAIN, discriminator_steps=3)
    weights = [weights_of(run_steps(number, recipe=recipe))["generator/project.weight"] for number in range(5)]
    assert [not torch.equal(before, after) for before, after in pairwise(weights)] == [False, False, True, False]


def test_lazy_penalties_have_the_same_mean_weight() -> None:
    lazy, always = with_penalties(r1_gamma=1.0, every=2), with_penalties(r1_gamma=1.0)
    step = AdversarialStep(new_state(UNNORMALISED), lazy)
    index = STATS.index("penalty/r1")
    penalties = [step(batch_at(step.state.images_seen, UNNORMALISED, lazy))[index].item() for _ in range(4)]
    assert [value > 0 for value in penalties] == [True, False, True, False]
    once = AdversarialStep(new_state(UNNORMALISED), always)(batch_at(0, UNNORMALISED, always))[index].item()
    assert penalties[0] == pytest.approx(2 * once, rel=1e-5)
    twice = gradients({"lazy": (UNNORMALISED, lazy), "always": (UNNORMALISED, with_penalties(r1_gamma=2.0))}, rank=0, world_size=1)
    assert all(torch.allclose(twice["lazy"][name], gradient) for name, gradient in twice["always"].items())


def test_a_warm_up_leaves_no_trace() -> None:
    state = run_steps(2)
    before = weights_of(state)
    step = AdversarialStep(state, RECIPE)
    with unchanged(state):
        step(batch_at(0))
        assert state.images_seen == 3 * BATCH
    assert state.images_seen == 2 * BATCH
    assert all(torch.equal(before[name], weights) for name, weights in weights_of(state).items())


def test_the_ema_moves_by_its_half_life() -> None:
    average, network = nn.Linear(1, 1), nn.Linear(1, 1)
    nn.init.constant_(average.weight, 0.0)
    nn.init.constant_(network.weight, 8.0)
    for seen in (1000, 2000, 3000):  # far past the ramp, a step of one half-life each
        update_ema(average, network, ema_decay(100 * seen, 1000, 1000))
    assert average.weight.item() == pytest.approx(8 * (1 - 0.5**3))


def test_the_ema_ramps_up() -> None:
    assert ema_decay(64, 64, 10_000) == pytest.approx(0.5 ** (1 / 0.05))
    assert ema_decay(10_000_000, 64, 10_000) == pytest.approx(0.5**0.0064)


def test_r3gan_of_the_paper_has_its_sizes() -> None:
    state = new_state(R3ganNetworks(width=768, depth=2), shape=(3, 32, 32))
    assert {block.mix.groups for block in state.generator.modules() if hasattr(block, "mix")} == {96}
    millions = [sum(p.numel() for p in network.parameters()) / 1e6 for network in (state.generator, state.discriminator)]
    assert millions == pytest.approx([20.9, 20.9], rel=0.05)


@pytest.mark.slow
def test_compiled_networks_train_as_they_would_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    plain = run_steps(2, recipe=PLAIN)
    compiled = new_state()
    compile_networks(compiled, ["generator", "discriminator"])
    run_steps(2, recipe=PLAIN, state=compiled)
    expected = weights_of(plain)
    assert weights_of(compiled).keys() == expected.keys()
    assert all(torch.allclose(expected[name], weights, atol=1e-4) for name, weights in weights_of(compiled).items())
