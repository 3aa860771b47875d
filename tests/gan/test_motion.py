"""Content and motion: shapes, pairs of frames by given numbers, and what moves a clip."""

import dataclasses

import pytest
import torch

from ganray.config import MotionNetworks
from ganray.gan.networks import build_networks
from ganray.gan.networks.motion import draw_pair
from tests.helpers.cases import CASES
from tests.helpers.gan_runs import CLIPS, gradients


@pytest.mark.parametrize("shape", [(2, 1, 16, 16), (8, 3, 32, 48), (5, 4, 16, 32)])
@pytest.mark.parametrize("options", [{}, {"clip_critic": False}, {"frame_pairs": False, "clip_critic": False}])
def test_clips_of_any_shape_are_made_and_judged(shape: tuple[int, ...], options: dict[str, bool]) -> None:
    networks = MotionNetworks(width=4, max_width=8, latent_dim=8, motion_dim=4, ghost_batch=2, **options)
    generator, discriminator = build_networks(networks, shape, seed=0)
    clips = generator(torch.randn(2, 8))
    assert clips.shape == (2, *shape)
    assert clips.abs().max() <= 1
    assert discriminator(clips).shape == discriminator(clips, None, torch.rand(2, 2)).shape == (2,)


def test_every_distance_and_then_every_place_is_as_likely() -> None:
    grid = (torch.arange(60) + 0.5) / 60
    first, distance = draw_pair(torch.cartesian_prod(grid, grid), 3600, 4, torch.device("cpu"))
    assert distance.bincount().tolist() == [0, 1200, 1200, 1200]
    assert first[distance == 1].bincount().tolist() == [400, 400, 400]
    assert first[distance == 3].unique().tolist() == [0]
    assert int((first + distance).max()) == 3


def test_extreme_numbers_stay_within_the_clip() -> None:
    first, distance = draw_pair(torch.tensor([[1.0, 1.0], [0.0, 0.0]]), 2, 8, torch.device("cpu"))
    assert (first + distance).max() < 8


def test_motion_and_content_are_apart_in_the_latents() -> None:
    generator, _ = build_networks(CLIPS.model_copy(update={"conditional": False}), (3, 1, 16, 16), seed=0)
    generator.eval()
    latents = torch.randn(1, 8)
    other = torch.cat([latents[:, :4] + 1, latents[:, 4:]], dim=1)
    with torch.no_grad():
        assert not torch.equal(generator(latents), generator(other))
        assert (generator(latents)[:, 0] - generator(latents)[:, 1]).abs().max() > 0


def test_a_step_draws_pairs_by_the_sample_s_own_numbers() -> None:
    networks, recipe = CASES["clips"]
    fixed = dataclasses.replace(recipe, discriminator_uniforms=0)
    drawn, ends = (gradients({"clips": (networks, one)}, rank=0, world_size=1)["clips"] for one in (recipe, fixed))
    assert not torch.equal(drawn["discriminator/pair.decide.weight"], ends["discriminator/pair.decide.weight"])
