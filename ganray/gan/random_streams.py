"""Random numbers that depend on a sample's global index alone, never on rank, world size, process or clock.

Every stream ("latents", "calibration", ...) is a Philox generator (Salmon et al. 2011) keyed by seed, name and attempt, whose
counter is the sample's index. So any worker can draw any sample's numbers, and a resumed run draws what an unbroken one would.
"""

import hashlib
import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

WORDS_A_BLOCK = 8  # a Philox4x64 block gives four 64-bit words, that is eight of 32 bits


@dataclass(frozen=True)
class RandomStream:
    """One named stream of random numbers of a job."""

    seed: int
    stream: str
    attempt: int = 0

    def uniforms(self, start: int, number: int, size: int) -> np.ndarray:
        """Return float64 [number, size] in (0, 1) for the samples with index `start` to `start + number - 1`."""
        blocks = math.ceil(size / WORDS_A_BLOCK)
        philox = np.random.Philox(key=_key(self), counter=start * blocks)
        words = philox.random_raw(number * blocks * WORDS_A_BLOCK // 2).view(np.uint32)
        return (words.reshape(number, -1)[:, :size] + 0.5) * 2.0**-32

    def normals(self, start: int, number: int, size: int) -> Tensor:
        """Return standard normal float32 [number, size], by the transform of Box and Muller (1958)."""
        half = (size + 1) // 2
        uniforms = self.uniforms(start, number, 2 * half)
        radius = np.sqrt(-2 * np.log(uniforms[:, :half]))
        angle = 2 * np.pi * uniforms[:, half:]
        both = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
        return torch.from_numpy(both[:, :size].astype(np.float32))


def _key(draws: RandomStream) -> np.ndarray:
    """Return the 128-bit Philox key of a stream."""
    name = f"{draws.seed}/{draws.stream}/{draws.attempt}".encode()
    return np.frombuffer(hashlib.sha256(name).digest()[:16], dtype=np.uint64)
