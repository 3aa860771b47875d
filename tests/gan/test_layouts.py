"""Layouts: stored samples come back from what networks see of them."""

import numpy as np
import pytest
import torch

from ganray.gan.layouts import Layout, OneHotLayout, PixelLayout, layout_of
from ganray.modalities.image_codec import ImageCodec
from ganray.modalities.text import TextCodec

PIXELS = torch.randint(0, 256, (5, 3, 16, 16), dtype=torch.uint8)
TOKENS = torch.tensor([[1, 2, 3, 0], [3, 0, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1]], dtype=torch.uint8)


@pytest.mark.parametrize(
    ("layout", "samples"), [(PixelLayout((3, 16, 16)), PIXELS), (OneHotLayout(4, 4), TOKENS)], ids=["pixels", "one-hot"]
)
def test_samples_come_back_as_they_were(layout: Layout, samples: torch.Tensor) -> None:
    seen = layout.from_samples(samples)
    assert (tuple(seen.shape[1:]), seen.dtype) == (layout.shape, torch.float32)
    back = layout.to_samples(seen)
    assert torch.equal(back, samples)
    assert back.dtype == samples.dtype


def test_what_follows_an_end_is_an_end() -> None:
    outputs = torch.nn.functional.one_hot(torch.tensor([[2, 0, 3, 1]]), 4).mT.float()
    assert OneHotLayout(4, 4).to_samples(outputs).tolist() == [[2, 0, 0, 0]]


def test_many_tokens_are_stored_in_two_bytes() -> None:
    codec = TextCodec(3, tuple(map(chr, range(0x4E00, 0x4E00 + 300))))
    layout = layout_of(codec)
    stored = torch.from_numpy(np.array([[300, 1, 0]], codec.dtype))
    assert layout.shape == (301, 3)
    assert torch.equal(layout.to_samples(layout.from_samples(stored)), stored)


def test_a_layout_follows_from_the_codec() -> None:
    assert layout_of(ImageCodec.of_shape((1, 16, 32))) == PixelLayout((1, 16, 32))
    assert layout_of(TextCodec(8, ("a", "b"))) == OneHotLayout(3, 8)
