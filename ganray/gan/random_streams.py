"""Counter-based random streams: numbers are a function of the sample's global index, never of rank, world size, process or clock.

Every stream ("latents", "calibration", ...) is a Philox generator (Salmon et al. 2011) keyed by seed, name and attempt, whose
counter is the sample's index. So any worker can draw any sample's numbers, and a resumed run draws the same numbers again.
"""

import hashlib
import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

WORDS_PER_BLOCK = 8  # of 32 bits: a Philox4x64 block has four words of 64 bits


@dataclass(frozen=True)
class RandomStream:
    """A named stream of a job's random numbers."""

    seed: int
    stream: str
    attempt: int = 0

    def uniforms(self, start: int, number: int, size: int) -> NDArray[np.float64]:
        """Return float64 [number, size] in (0, 1) for the samples with index `start` to `start + number - 1`."""
        blocks = math.ceil(size / WORDS_PER_BLOCK)
        philox = np.random.Philox(key=_key(self), counter=start * blocks)
        words = philox.random_raw(number * blocks * WORDS_PER_BLOCK // 2).view(np.uint32)
        return (words.reshape(number, -1)[:, :size].astype(np.float64) + 0.5) * 2.0**-32

    def normals(self, start: int, number: int, size: int) -> Tensor:
        """Return standard normal float32 [number, size], by the Box-Muller transform (1958)."""
        half = (size + 1) // 2
        uniforms = self.uniforms(start, number, 2 * half)
        radius = np.sqrt(-2 * np.log(uniforms[:, :half]))
        angle = 2 * np.pi * uniforms[:, half:]
        both = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
        return torch.from_numpy(both[:, :size].astype(np.float32))


def _key(stream: RandomStream) -> NDArray[np.uint64]:
    """Return the 128-bit Philox key of a stream."""
    name = f"{stream.seed}/{stream.stream}/{stream.attempt}".encode()
    return np.frombuffer(hashlib.sha256(name).digest()[:16], dtype=np.uint64)
