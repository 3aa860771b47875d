"""Real images for tests: those of Fashion-MNIST that ship with ganray, as its preparation makes them."""

from importlib.resources import files
from io import BytesIO

import numpy as np
import pyarrow.parquet as pq
import torch
from torch import Tensor

from ganray.modalities.image import Target, resize


def fashion(start: int, number: int) -> tuple[Tensor, Tensor]:
    """Return images uint8 [number, 1, 32, 32] of the test split and their classes int64 [number]."""
    data = files("ganray.data").joinpath("bundled", "fashion-mnist-test.parquet").read_bytes()
    table = pq.read_table(BytesIO(data), columns=["image", "label"]).slice(start, number)
    pixels = [np.frombuffer(image, np.uint8).reshape(28, 28) for image in table["image"].to_pylist()]
    target = Target((1, 32, 32), "lanczos")
    return torch.from_numpy(np.stack([resize(image, target) for image in pixels])), torch.tensor(table["label"].to_pylist())
