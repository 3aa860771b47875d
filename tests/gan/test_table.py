"""Networks and layout of tables: codes and back, choices, given columns, two workers against one, and going on bit by bit."""

import dataclasses
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from ganray.config import Adam, Optimizer, Penalties, RelativisticLoss, WassersteinLoss
from ganray.config.networks import TableNetworks
from ganray.config.training import share_of
from ganray.gan.batch import Batch, draw_inputs, num_uniforms
from ganray.gan.layouts import encoding_in, layout_of
from ganray.gan.layouts.table import TableLayout, given_columns
from ganray.gan.networks.table import TableGenerator
from ganray.gan.prior import Prior
from ganray.gan.random_streams import RandomStream
from ganray.gan.sampling import sample_chunk
from ganray.gan.state import GanState, calibrated_ema
from ganray.gan.step import AdversarialStep, Recipe
from ganray.modalities.table.codec import TableCodec
from ganray.modalities.table.encoding import Encoding, digits
from tests.helpers.gan_runs import BATCH, RECIPE, on_ranks, weights_of
from tests.helpers.tables import NETWORKS, fit, new_state, people

CODEC = fit(people())
CODES = CODEC.encode(people())
LAYOUT = layout_of(CODEC)
COLUMNS = len(CODEC.columns)
PLAIN = dataclasses.replace(RECIPE, ghost_batch=1)
SLOW = Optimizer(discriminator=Adam(lr=1e-9))
RECIPES = {
    "relativistic": dataclasses.replace(PLAIN, loss=RelativisticLoss(), penalties=Penalties(r1_gamma=0.1, r2_gamma=0.1, every=2)),
    # Where a gradient of this loss is zero, Adam's first step is its rounding's sign: the discriminator stays nearly as it is.
    "wgan-gp": dataclasses.replace(PLAIN, loss=WassersteinLoss(), penalties=Penalties(wgan_gp=10.0), optimizer=SLOW),
    "accumulation": dataclasses.replace(PLAIN, accumulate=2, discriminator_steps=2),
}


def batch_at(images_seen: int, recipe: Recipe, *, rank: int = 0, world_size: int = 1, dtype: torch.dtype = torch.float32) -> Batch:
    """Return a rank's local batch of the step that starts at `images_seen`, with columns that are given."""
    assert isinstance(LAYOUT, TableLayout)
    share = share_of(rank, world_size, batch_size=BATCH, ghost_batch=1)
    local = slice(share.start, share.start + share.size)
    reals = LAYOUT.from_samples(torch.from_numpy(CODES[(images_seen + np.arange(BATCH)) % len(CODES)].astype(np.int32)))
    known = given_columns(RandomStream(3, "given"), images_seen, BATCH, COLUMNS, share=0.5)
    size = num_uniforms(recipe.augment, recipe.penalties, NETWORKS)
    latents, uniforms = draw_inputs(3, 0, images_seen, BATCH, latent_dim=NETWORKS.latent_dim, uniforms=size)
    parts = (reals, latents, LAYOUT.conditions(reals, known), uniforms)
    return Batch(*(part if part is None else part[local].clone().to(dtype) for part in parts))


def run(num_steps: int, recipe: Recipe, *, state: GanState | None = None, rank: int = 0, world_size: int = 1) -> GanState:
    torch.set_num_threads(1)
    state = state or new_state(CODEC)
    step = AdversarialStep(state, recipe)
    for _ in range(num_steps):
        step(batch_at(state.images_seen, recipe, rank=rank, world_size=world_size))
    return state


def gradients(*, rank: int, world_size: int) -> dict[str, dict[str, torch.Tensor]]:
    """Return, for each recipe, the gradients of its last step, by name."""
    torch.set_num_threads(1)
    found = {}
    for case, recipe in RECIPES.items():
        taken: dict[str, torch.Tensor] = {}
        state = new_state(CODEC)
        pairs = ((state.generator, state.generator_optimizer, "g/"), (state.discriminator, state.discriminator_optimizer, "d/"))
        for network, optimizer, prefix in pairs:
            optimizer.register_step_pre_hook(
                lambda *_, n=network, p=prefix, t=taken: t.update({p + k: w.grad.clone() for k, w in n.named_parameters()})
            )
        step = AdversarialStep(state, recipe)
        for _ in range(recipe.discriminator_steps):
            step(batch_at(state.images_seen, recipe, rank=rank, world_size=world_size))
        found[case] = taken
    return found


def test_codes_come_back_from_what_networks_see() -> None:
    rows = LAYOUT.from_samples(torch.from_numpy(CODES.astype(np.int32)))
    assert rows.shape == (len(CODES), *LAYOUT.shape)
    assert np.array_equal(LAYOUT.to_samples(rows).numpy(), CODES)
    wide = rows[:, : len(encoding_in(LAYOUT).numbers)]  # type: ignore[union-attr]
    assert wide.abs().max() < 4.1
    assert wide.std(0).max() == pytest.approx(1.0, abs=0.1)


def test_a_column_of_thousands_of_choices_takes_few_inputs_and_every_output_is_a_choice() -> None:
    for choices in (2, 64, 65, 1000, 3001, 10_000):
        assert np.prod([size for size, _ in digits(choices)]) >= choices
        layout = TableLayout(Encoding((choices, 1), (False, True)))
        assert layout.encoding.width <= max(65, 2 * int(choices**0.5) + 3)
        codes = torch.stack([torch.arange(choices), torch.zeros(choices, dtype=torch.int64)], 1)
        assert torch.equal(layout.to_samples(layout.from_samples(codes)).long(), codes)
        assert layout.to_samples(torch.randn(500, layout.encoding.width) * 9)[:, 0].max() < choices


def test_samples_are_choices_and_given_columns_are_as_given() -> None:
    generator = new_state(CODEC).generator.eval()
    codes = torch.from_numpy(CODES[:64].astype(np.int32))
    rows = LAYOUT.from_samples(codes)
    known = given_columns(RandomStream(0, "given"), 0, 64, COLUMNS, share=1.0)
    assert isinstance(LAYOUT, TableLayout)
    with torch.no_grad():
        outputs = generator(torch.randn(64, NETWORKS.latent_dim), LAYOUT.conditions(rows, known))
    samples = LAYOUT.to_samples(outputs)
    assert 0.1 < known.mean() < 0.9
    assert torch.equal(samples[known > 0], codes[known > 0])
    assert not torch.equal(samples[known == 0], codes[known == 0])


def test_noise_of_choices_is_gumbel_s_and_a_function_of_the_latents() -> None:
    generator = new_state(CODEC).generator
    assert isinstance(generator, TableGenerator)
    latents = torch.randn(20_000, NETWORKS.latent_dim)
    noise = generator._gumbel(latents)
    assert torch.equal(noise[:100], generator._gumbel(latents[:100]))
    assert noise.mean(0).sub(0.5772).abs().max() < 0.06  # Euler's constant, and pi^2 / 6
    assert noise.var(0).sub(1.6449).abs().max() < 0.15
    assert (torch.corrcoef(noise.T) - torch.eye(noise.shape[1])).abs().max() < 0.05


def test_columns_are_given_in_about_the_share_of_rows_that_is_asked_for() -> None:
    known = given_columns(RandomStream(0, "given"), 0, 20_000, 10, share=0.4)
    assert 0.25 < (known.sum(1) > 0).float().mean() < 0.4
    assert torch.equal(known[100:200], given_columns(RandomStream(0, "given"), 100, 100, 10, share=0.4))
    assert given_columns(RandomStream(0, "given"), 0, 100, 10, share=0.0).sum() == 0


def test_two_workers_have_the_gradients_of_one(tmp_path: Path) -> None:
    one = gradients(rank=0, world_size=1)
    for two in on_ranks(2, tmp_path, gradients):
        for case, expected in one.items():
            for network in ("g/", "d/"):
                names = [name for name in expected if name.startswith(network)]
                whole = torch.cat([expected[name].flatten() for name in names])
                gap = torch.cat([(two[case][name] - expected[name]).flatten() for name in names])
                assert gap.norm() <= 1e-6 * whole.norm(), f"{case}: {network}"


@pytest.mark.parametrize("case", RECIPES)
def test_a_state_that_was_saved_and_loaded_goes_on_bit_by_bit(case: str) -> None:
    whole = weights_of(run(6, RECIPES[case]))
    second = new_state(CODEC, seed=99)
    second.load_state_dict(run(2, RECIPES[case]).state_dict())
    resumed = weights_of(run(4, RECIPES[case], state=second))
    assert all(torch.equal(whole[name], weights) for name, weights in resumed.items())


def test_training_learns_what_most_rows_have() -> None:
    state = run(250, RECIPES["relativistic"])
    generator = calibrated_ema(state, 1, Prior(NETWORKS.latent_dim), seed=0)
    samples = torch.cat([sample_chunk(generator, Prior(NETWORKS.latent_dim), LAYOUT, seed=0, chunk=chunk) for chunk in range(8)])
    fresh = calibrated_ema(new_state(CODEC), 1, Prior(NETWORKS.latent_dim), seed=0)
    before = torch.cat([sample_chunk(fresh, Prior(NETWORKS.latent_dim), LAYOUT, seed=0, chunk=chunk) for chunk in range(8)])
    place = CODEC.names.index("hours")
    real, learned, first = ((np.bincount(codes[:, place].clip(max=8), minlength=9) / len(codes)) for codes in (CODES, samples, before))
    assert np.abs(real - learned).sum() < np.abs(real - first).sum()


def test_what_is_given_decides_what_follows_from_it() -> None:
    random = np.random.default_rng(0)
    country = random.choice(4, 2000, p=[0.4, 0.3, 0.2, 0.1])
    others = {f"other {place}": [f"v{value}" for value in random.integers(0, 5, 2000)] for place in range(6)}
    table = pa.table({"country": [f"c{value}" for value in country], "currency": [f"m{value}" for value in country], **others})
    codec = fit(table)
    layout, codes = layout_of(codec), torch.from_numpy(codec.encode(table).astype(np.int32))
    assert isinstance(layout, TableLayout)
    state = new_state(codec, networks=TableNetworks(width=32, depth=1, discriminator_width=32, latent_dim=8, given=0.5))
    size = 64
    step = AdversarialStep(state, dataclasses.replace(RECIPES["relativistic"], batch_size=size))
    for start in range(0, 800 * size, size):
        reals = layout.from_samples(codes[(start + np.arange(size)) % len(codes)])
        known = given_columns(RandomStream(0, "given"), start, size, len(codec.columns), share=0.5)
        latents, uniforms = draw_inputs(0, 0, start, size, latent_dim=8, uniforms=0)
        step(Batch(reals, latents, layout.conditions(reals, known), uniforms))
    generator = calibrated_ema(state, 1, Prior(8), seed=0)
    for value in range(4):
        given, known = torch.zeros(2, 1, len(codec.columns))
        given[0, 0], known[0, 0] = found(codec, "country", f"c{value}"), 1.0
        conditions = layout.conditions(layout.from_samples(given), known)
        samples = sample_chunk(generator, Prior(8), layout, seed=0, chunk=0, given=conditions)
        assert (samples[:, 1] == found(codec, "currency", f"m{value}")).float().mean() > 0.6, f"country {value}"


def found(codec: TableCodec, column: str, text: str) -> int:
    """Return the code of a value of a column."""
    code = codec.columns[codec.names.index(column)].code_of(text)
    assert code is not None
    return code
