"""Batches of samples of several requests: the bits of whole chunks, or else whole chunks; and the rate limit."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ganray.gan.prior import Prior
from ganray.gan.sampling import CHUNK, sample_inputs
from ganray.modalities.image_codec import ImageCodec
from ganray.registry.artifact import PublishedGenerator, build
from ganray.serve.engine import Engine, cut, run_pieces
from ganray.serve.limits import BURST_S, MAX_CLIENTS, RateLimit
from tests.helpers.artifacts import artifact


class PositionDependent(nn.Module):
    """A network whose samples depend on where they stand in a batch, as no generator's should."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return samples [N, 1, 2, 2]."""
        places = torch.arange(len(latents))[:, None] / 1000
        return torch.tanh((latents + places) * self.scale).view(-1, 1, 2, 2)


class SizeDependent(PositionDependent):
    """A network whose samples depend on the size of small batches, as a convolution's last bits do."""

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return samples [N, 1, 2, 2]."""
        return torch.tanh(latents * self.scale + (0.5 if len(latents) < 24 else 0)).view(-1, 1, 2, 2)


def of(network: nn.Module) -> PublishedGenerator:
    return PublishedGenerator(network, Prior(4), None, ImageCodec.of_shape((1, 2, 2))).eval().requires_grad_(False)


def pieces_of(engine: Engine, spans: list[tuple[int, int, int]]) -> list:
    """Return pieces of requests, each a seed, a first index and a number."""
    made = []
    for seed, start, num in spans:
        first, number = engine.span(start, num)
        made += cut(engine, sample_inputs(engine.generator.prior, seed=seed, start=first, num=number))
    return made


def whole_chunk(generator: PublishedGenerator, seed: int, chunk: int) -> np.ndarray:
    inputs = sample_inputs(generator.prior, seed=seed, start=chunk * CHUNK, num=CHUNK)
    return generator(*inputs).float().add(1).mul(127.5).round_().clamp_(0, 255).to(torch.uint8).numpy()


@pytest.mark.parametrize("classes", [None, ["a", "b", "c"]])
def test_requests_share_batches_bit_for_bit(classes: list[str] | None) -> None:
    engine = Engine.measured(build(artifact(contrast=8.0, classes=classes)))
    assert engine.is_packed
    spans = [(0, 3, 2), (5, 60, 4), (0, 130, 1), (9, 0, 64), (2, 17, 30)]
    made = run_pieces(pieces_of(engine, spans))
    assert [len(samples) for samples in made] == [num for _, _, num in spans]
    for samples, (seed, start, num) in zip(made, spans, strict=True):
        chunks = np.concatenate([whole_chunk(engine.generator, seed, chunk) for chunk in range(3)])
        assert np.array_equal(samples, chunks[start : start + num])


def test_sizes_that_change_bits_are_not_used() -> None:
    engine = Engine.measured(of(SizeDependent()))
    assert engine.sizes == (24, 32, 48, CHUNK)
    (samples,) = run_pieces(pieces_of(engine, [(0, 5, 3)]))
    assert np.array_equal(samples, whole_chunk(engine.generator, 0, 0)[5:8])


def test_a_generator_that_minds_its_neighbours_runs_whole_chunks() -> None:
    engine = Engine.measured(of(PositionDependent()))
    assert not engine.is_packed
    assert engine.span(70, 3) == (64, 64)
    assert engine.span(60, 70) == (0, 192)
    first, second = run_pieces(pieces_of(engine, [(0, 70, 3), (1, 5, 3)]))
    assert np.array_equal(first, whole_chunk(engine.generator, 0, 1))
    assert np.array_equal(second, whole_chunk(engine.generator, 1, 0))


def test_pieces_of_two_versions_are_not_mixed() -> None:
    one, other = (Engine.measured(build(artifact(seed, contrast=8.0))) for seed in (0, 1))
    mixed = run_pieces([*pieces_of(one, [(0, 0, 2)]), *pieces_of(other, [(0, 0, 2)]), *pieces_of(one, [(0, 2, 2)])])
    assert np.array_equal(np.concatenate([mixed[0], mixed[2]]), whole_chunk(one.generator, 0, 0)[:4])
    assert np.array_equal(mixed[1], whole_chunk(other.generator, 0, 0)[:2])


def test_a_bucket_fills_at_the_rate_and_debts_are_paid() -> None:
    now = [0.0]
    limit = RateLimit(10.0, clock=lambda: now[0])
    assert limit.wait_s("a", 100) == 0
    assert limit.wait_s("a", 10) == pytest.approx(1.0)
    assert limit.wait_s("b", 10) == 0
    now[0] = 1.0
    assert limit.wait_s("a", 10) == 0
    now[0] = 1.0 + BURST_S
    assert limit.wait_s("a", 200) == 0, "more than the bucket holds passes when it is full"
    now[0] += BURST_S
    assert limit.wait_s("a", 1) == pytest.approx(0.1)
    assert RateLimit(0).wait_s("a", 1e9) == 0


def test_clients_are_forgotten_so_that_memory_stays_flat() -> None:
    limit = RateLimit(10.0, clock=lambda: 0.0)
    for number in range(MAX_CLIENTS + 10):
        limit.wait_s(str(number), 1)
    assert len(limit._buckets) == MAX_CLIENTS
