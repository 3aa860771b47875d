"""WaveGAN: any length, phase shuffle by given numbers, and what a step gives its discriminator."""

import dataclasses

import pytest
import torch

from ganray.config import WaveganNetworks
from ganray.config.networks.wave import MAX_LAYERS, num_quarterings
from ganray.gan.batch import num_discriminator_uniforms, num_uniforms
from ganray.gan.layouts.waves import WaveLayout
from ganray.gan.networks import build_networks
from ganray.gan.networks.wavegan import shuffle_phase
from tests.helpers.cases import CASES
from tests.helpers.gan_runs import RECIPE, WAVES, batch_at, gradients, new_state, run_steps, weights_of, with_penalties


@pytest.mark.parametrize("samples", [64, 300, 6144, 8000, 16_384])
def test_waves_of_any_length_are_made_and_judged(samples: int) -> None:
    generator, discriminator = build_networks(WaveganNetworks(width=2, latent_dim=4, max_width=8), (1, samples), seed=0)
    waves = generator(torch.randn(2, 4))
    assert waves.shape == (2, 1, samples)
    assert waves.abs().max() <= 1
    assert discriminator(waves).shape == (2,)
    assert discriminator(waves, None, torch.rand(2, MAX_LAYERS)).shape == (2,)


def test_a_wave_is_quartered_down_to_eight_samples_or_more() -> None:
    assert [num_quarterings(samples) for samples in (16_384, 8192, 6144, 128, 64)] == [5, 5, 4, 2, 1]
    assert num_quarterings(1 << 30) == MAX_LAYERS


def test_phase_shuffle_shifts_each_sample_by_its_number_and_reflects_the_ends() -> None:
    features = torch.arange(6.0).expand(3, 2, 6)
    back, still, forth = shuffle_phase(features, torch.tensor([0.01, 0.5, 0.99]), 2)
    assert still[0].tolist() == [0, 1, 2, 3, 4, 5]
    assert forth[1].tolist() == [2, 1, 0, 1, 2, 3]
    assert back[0].tolist() == [2, 3, 4, 5, 4, 3]


def test_each_shift_is_as_frequent_as_the_others() -> None:
    features = torch.arange(9.0).expand(5000, 1, 9)
    shifted = shuffle_phase(features, (torch.arange(5000) + 0.5) / 5000, 2)
    assert shifted[:, 0, 4].long().bincount().tolist() == [0, 0, 1000, 1000, 1000, 1000, 1000]


def test_a_step_shuffles_phases_by_the_sample_s_own_numbers() -> None:
    networks, recipe = CASES["waves"]
    off = dataclasses.replace(recipe, discriminator_uniforms=0)
    with_phases, without = (gradients({"waves": (networks, one)}, rank=0, world_size=1)["waves"] for one in (recipe, off))
    assert not torch.equal(with_phases["discriminator/decide.weight"], without["discriminator/decide.weight"])


def test_batches_have_a_number_for_each_layer_only_where_phases_are_shuffled() -> None:
    recipe = with_penalties(wgan_gp=10.0)
    assert num_uniforms(recipe.augment, recipe.penalties, WAVES) == MAX_LAYERS + 1
    assert num_discriminator_uniforms(WAVES.model_copy(update={"phase_shuffle": 0})) == 0
    uniforms = batch_at(0, WAVES, recipe).uniforms
    assert uniforms is not None
    assert uniforms.shape[1] == MAX_LAYERS + 1


def test_waves_that_were_saved_and_loaded_go_on_bit_by_bit() -> None:
    networks, recipe = CASES["waves"]
    whole = weights_of(run_steps(4, networks=networks, recipe=recipe))
    second = new_state(networks, recipe, seed=99)
    second.load_state_dict(run_steps(2, networks=networks, recipe=recipe).state_dict())
    resumed = weights_of(run_steps(2, networks=networks, recipe=recipe, state=second))
    assert all(torch.equal(whole[name], weights) for name, weights in resumed.items())


def test_the_layout_of_waves_goes_there_and_back() -> None:
    layout = WaveLayout((1, 5))
    stored = torch.tensor([[[-32767, -1, 0, 1, 32767]]], dtype=torch.int16)
    assert torch.equal(layout.to_samples(layout.from_samples(stored)), stored)
    assert layout.to_samples(torch.tensor([[[-2.0, 2.0]]])).flatten().tolist() == [-32767, 32767]


def test_the_recipe_of_images_has_no_phases() -> None:
    assert RECIPE.discriminator_uniforms == 0
