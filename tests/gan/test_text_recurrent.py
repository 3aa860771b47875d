"""Sentences by a recurrent generator: what it draws is distributed as its likelihood says, and it is pretrained by that alone."""

import dataclasses
import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ganray.config import Adam, Optimizer, TextRecurrentNetworks
from ganray.gan.batch import Batch
from ganray.gan.directions import first_layer
from ganray.gan.layouts.one_hot import END, OneHotLayout
from ganray.gan.losses import negative_log_likelihood
from ganray.gan.networks.gumbel import draw_tokens, gumbel_noise, noise_keys
from ganray.gan.networks.text_recurrent import TextRecurrentGenerator
from ganray.gan.prior import Prior
from ganray.gan.sampling import sample_chunk
from ganray.gan.stats import STATS
from ganray.gan.step import AdversarialStep
from tests.helpers.gan_runs import BATCH, RECIPE, SENTENCES, TEXT_SHAPE, batch_at, new_state, weights_of

VOCABULARY, LENGTH = 4, 3
NETWORKS = TextRecurrentNetworks(units=8, latent_dim=8)
MANY = 1 << 15


def generator_of(seed: int = 0) -> TextRecurrentGenerator:
    """Return a small generator whose tokens are far from equally probable."""
    torch.manual_seed(seed)
    generator = TextRecurrentGenerator(NETWORKS, (VOCABULARY, LENGTH), 0)
    with torch.no_grad():
        for weights in generator.parameters():
            weights.mul_(3)
    return generator


def latents_of(number: int) -> Tensor:
    return Prior(NETWORKS.latent_dim).sample(0, "latents", 0, number)[0]


def one_hot(tokens: Tensor) -> Tensor:
    return F.one_hot(tokens, VOCABULARY).transpose(1, 2).float()


def all_texts() -> Tensor:
    """Return all texts as stored, [K, LENGTH]: what follows an end is an end."""
    texts = [text for text in itertools.product(range(VOCABULARY), repeat=LENGTH) if END not in text or not any(text[text.index(END) :])]
    return torch.tensor(texts)


@torch.no_grad()
def test_texts_are_drawn_as_often_as_the_likelihood_says() -> None:
    generator, texts, latents = generator_of(), all_texts(), latents_of(MANY)
    drawn = OneHotLayout(VOCABULARY, LENGTH).to_samples(generator(latents))
    some = latents[:256]
    probabilities = torch.zeros(len(texts))
    for number, text in enumerate(one_hot(texts)):
        judged = generator(some, None, text.expand(len(some), -1, -1))
        nats = torch.stack([negative_log_likelihood(row, text[None]) for row in judged[:, None]])
        probabilities[number] = (-nats).exp().mean()
    assert probabilities.sum() == pytest.approx(1.0, abs=1e-4)
    frequencies = torch.stack([(drawn == text).all(1).float().mean() for text in texts])
    assert probabilities.max() > 3 * probabilities.median()
    assert (frequencies - probabilities).abs().max() < 0.02  # of which most is the choice of latents that were judged


def test_noise_is_standard_gumbel_and_independent_over_samples_and_numbers() -> None:
    keys = noise_keys(latents_of(500))
    noise = gumbel_noise(keys, 7, 300).double()
    assert noise.isfinite().all()
    assert noise.mean() == pytest.approx(0.5772, abs=0.01)
    assert noise.std() == pytest.approx(1.2825, abs=0.01)
    for left, right in ((noise[:, 1:], noise[:, :-1]), (noise[1:], noise[:-1]), (noise[1:, 1:], noise[:-1, :-1])):
        assert abs(torch.corrcoef(torch.stack([left.flatten(), right.flatten()]))[0, 1]) < 0.01
    uniforms = (-(-noise).exp()).exp()
    counts = torch.histc(uniforms, 20, 0, 1)
    assert ((counts - counts.mean()).square() / counts.mean()).sum() < 45  # chi-squared of 19 degrees of freedom, p = 0.0007
    assert torch.equal(gumbel_noise(keys, 9, 5), gumbel_noise(keys, 7, 300)[:, 2:7])


def test_noise_follows_from_the_latents_whatever_their_type_and_neighbours_have_other_noise() -> None:
    latents = latents_of(2000)
    keys = noise_keys(latents)
    assert torch.equal(keys, noise_keys(latents.double()))
    assert len(keys.unique()) == len(keys)
    moved = latents.clone()
    moved[:, 3] += 2.0**-10
    assert (noise_keys(moved) != keys).all()


def test_drawn_tokens_are_the_same_with_gradients_which_are_those_of_the_softmax_at_a_temperature() -> None:
    logits = torch.tensor([[1.0, -1.0, 0.5], [0.0, 0.0, 0.1]], requires_grad=True)
    noise = torch.tensor([[0.0, 0.0, 1.0], [2.0, 0.0, 0.0]])
    tokens = draw_tokens(logits, noise, 0.5)
    assert tokens.tolist() == [[0, 0, 1], [1, 0, 0]]
    with torch.no_grad():
        assert torch.equal(draw_tokens(logits, noise, 0.5), tokens)
    weights = torch.tensor([[1.0, 2.0, 3.0], [-1.0, 0.0, 1.0]])
    (found,) = torch.autograd.grad((tokens * weights).sum(), logits)
    (expected,) = torch.autograd.grad((((logits + noise) / 0.5).softmax(1) * weights).sum(), logits)
    torch.testing.assert_close(found, expected)


def test_texts_are_one_hot_and_end_once_and_all_weights_learn_from_them() -> None:
    generator = generator_of()
    texts = generator(latents_of(512))
    assert texts.shape == (512, VOCABULARY, LENGTH)
    assert set(texts.unique().tolist()) == {0.0, 1.0}
    assert (texts.sum(1) == 1).all()
    ended = texts[:, END]
    assert 0 < ended.sum() < ended.numel()
    assert (ended.diff(dim=1) >= 0).all()
    (texts * torch.randn_like(texts)).sum().backward()
    assert all(weights.grad is not None and weights.grad.abs().max() > 0 for weights in generator.parameters())
    with torch.no_grad():
        assert torch.equal(generator(latents_of(512)), texts)


@torch.no_grad()
def test_a_token_s_probability_depends_on_those_before_it_alone() -> None:
    generator, latents = generator_of(), latents_of(2)
    first, second = (generator(latents, None, one_hot(torch.tensor([tokens, tokens]))) for tokens in ([1, 2, 3], [1, 3, 3]))
    torch.testing.assert_close(first.exp().sum(1), torch.ones(2, LENGTH))
    assert torch.equal(first[:, :, :2], second[:, :, :2])
    assert not torch.equal(first[:, :, 2], second[:, :, 2])


@torch.no_grad()
def test_a_low_sampling_temperature_draws_the_probable_texts_more_often() -> None:
    generator, latents = generator_of(), latents_of(2048)
    different = []
    for temperature in (2.0, 1.0, 0.5, 0.01):
        generator.sampling_temperature = temperature
        texts = generator(latents).argmax(1)
        different.append(-sum(share * share.log() for share in texts.unique(dim=0, return_counts=True)[1] / len(texts)))
    assert different == sorted(different, reverse=True)


def test_the_likelihood_of_a_text_ends_with_its_first_end() -> None:
    probabilities = torch.full((2, VOCABULARY, LENGTH), 0.25).log()
    texts = one_hot(torch.tensor([[1, END, END], [1, 2, 3]]))
    assert negative_log_likelihood(probabilities, texts) == pytest.approx(2.5 * torch.tensor(4.0).log())


def test_samples_depend_on_seed_and_index_alone() -> None:
    generator, prior, layout = generator_of().eval(), Prior(NETWORKS.latent_dim), OneHotLayout(VOCABULARY, LENGTH)
    chunks = [sample_chunk(generator, prior, layout, seed=1, chunk=chunk) for chunk in (0, 1)]
    assert torch.equal(sample_chunk(generator, prior, layout, seed=1, chunk=1), chunks[1])
    assert not torch.equal(*chunks)
    assert first_layer(generator, prior) is generator.begin


def test_pretraining_trains_the_generator_alone_by_likelihood_and_then_it_trains_against_the_discriminator() -> None:
    recipe = dataclasses.replace(RECIPE, pretrain_images=100 * BATCH, optimizer=Optimizer(generator=Adam(lr=0.02)))
    state = new_state(SENTENCES, recipe)
    step, before = AdversarialStep(state, recipe), weights_of(state)
    texts = OneHotLayout(*TEXT_SHAPE).from_samples(torch.tensor([[1, 2, 3, 0, 0, 0], [4, 4, 0, 0, 0, 0]]).repeat(BATCH // 2, 1))
    stats = []
    while state.images_seen < recipe.pretrain_images:
        drawn = batch_at(state.images_seen, SENTENCES, recipe)
        stats.append(dict(zip(STATS, step(Batch(texts, drawn.latents, drawn.labels)).tolist(), strict=False)))
    after = weights_of(state)
    assert all(torch.equal(after[name], before[name]) for name in before if name.startswith("discriminator"))
    assert stats[-1]["loss/generator"] < 0.5 * stats[0]["loss/generator"]
    assert stats[-1]["samples/diversity"] > 0.1
    assert stats[-1]["gradient/discriminator"] == stats[-1]["discriminator/accuracy"] == 0
    step(batch_at(state.images_seen, SENTENCES, recipe))
    assert any(not torch.equal(weights, after[name]) for name, weights in weights_of(state).items() if name.startswith("discriminator"))


@pytest.mark.parametrize("pretrain_images", [0, BATCH])
def test_steps_in_bfloat16_are_finite_and_train_all_weights(pretrain_images: int) -> None:
    recipe = dataclasses.replace(RECIPE, precision=torch.bfloat16, pretrain_images=pretrain_images)
    state = new_state(SENTENCES, recipe)
    before = weights_of(state)
    stats = [AdversarialStep(state, recipe)(batch_at(0, SENTENCES, recipe)) for _ in range(2)]
    after = weights_of(state)
    assert all(not values[-1] and values.isfinite().all() for values in stats)
    assert all(not torch.equal(weights, before[name]) for name, weights in after.items() if name.startswith("generator/"))
