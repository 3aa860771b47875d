"""Real images for tests: those of Fashion-MNIST that ship with ganray, as its preparation makes them."""

import contextlib
from collections.abc import Iterator
from importlib.resources import files
from io import BytesIO

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from torch import Tensor

from ganray.data.sources import fashion_mnist
from ganray.modalities.image import Target, resize


def fashion(start: int, number: int) -> tuple[Tensor, Tensor]:
    """Return images uint8 [number, 1, 32, 32] of the test split and their classes int64 [number]."""
    data = files("ganray.data").joinpath("bundled", "fashion-mnist-test.parquet").read_bytes()
    table = pq.read_table(BytesIO(data), columns=["image", "label"]).slice(start, number)
    pixels = [np.frombuffer(image, np.uint8).reshape(28, 28) for image in table["image"].to_pylist()]
    target = Target((1, 32, 32), "lanczos")
    return torch.from_numpy(np.stack([resize(image, target) for image in pixels])), torch.tensor(table["label"].to_pylist())


@contextlib.contextmanager
def few_images(number: int) -> Iterator[None]:
    """Have what this process prepares in the block hold only the first of the 10,000 images that ship, where more would prove no more."""
    few = fashion_mnist.read_bundled().slice(0, number)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fashion_mnist, "read_bundled", lambda: few)
        yield
