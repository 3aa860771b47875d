"""The generator of one version, which samples of several requests share a batch of.

Sample i must be the one that `ganray generate` writes, whose batches are whole chunks. A batch of another size, or with other
neighbours, may differ in the last bits; so which sizes make the same bits, wherever a sample stands, is measured when a version is
loaded, and only those are used.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ganray.cluster.gpus import SERVE_FIELD, unusable_here
from ganray.gan.sampling import CHUNK, sample_inputs
from ganray.modalities.codec import Samples
from ganray.registry.artifact import PublishedGenerator

SIZES = (8, 16, 24, 32, 48)  # of batches that are tried, beside whole chunks
REPEATED = (0, CHUNK - 1)  # samples that are repeated over a batch, to see that it does not matter where they stand

Inputs = tuple[Tensor, Tensor | None]  # latents [N, latent_dim], and labels [N] of a conditional generator


@dataclass(frozen=True)
class Engine:
    """A generator, on its device, and the sizes of batches that make the bits of whole chunks, which come last.

    `is_packed` says whether a batch may hold any samples; if not, it holds a chunk as `ganray generate` makes it.
    """

    generator: PublishedGenerator
    sizes: tuple[int, ...]
    is_packed: bool

    @classmethod
    def measured(cls, generator: PublishedGenerator, device: str = "cpu") -> "Engine":
        """Return the engine of a generator, after comparing its samples in batches of different sizes and orders."""
        generator = generator.to(device)
        inputs = sample_inputs(generator.prior, seed=0, start=0, num=CHUNK)
        expected = _outputs(generator, inputs)
        for index in REPEATED:
            if not torch.equal(_outputs(generator, _taken(inputs, [index] * CHUNK)), expected[index : index + 1].expand_as(expected)):
                return cls(generator, (CHUNK,), is_packed=False)
        equal = [size for size in SIZES if torch.equal(_outputs(generator, _taken(inputs, range(size))), expected[:size])]
        return cls(generator, (*equal, CHUNK), is_packed=True)

    def span(self, start: int, num: int) -> tuple[int, int]:
        """Return the first index and the number of the samples to make for those from `start` on: whole chunks if not packed."""
        if self.is_packed:
            return start, num
        first = start // CHUNK * CHUNK
        return first, -(-(start + num - first) // CHUNK) * CHUNK

    def run(self, inputs: Inputs) -> Samples:
        """Return the samples of any number of inputs, as stored."""
        return np.concatenate([self._run_batch(_taken(inputs, part)) for part in _chunks(len(inputs[0]))])

    def _run_batch(self, inputs: Inputs) -> Samples:
        """Return the samples of at most a chunk of inputs, padded with the first one to a size that is exact."""
        num = len(inputs[0])
        size = next(size for size in self.sizes if size >= num)
        outputs = _outputs(self.generator, _taken(inputs, [*range(num), *[0] * (size - num)]))
        samples: Samples = self.generator.layout.to_samples(outputs[:num]).cpu().numpy()
        return samples


@dataclass(frozen=True)
class Piece:
    """Inputs of at most a chunk of samples, of one request, for an engine."""

    engine: Engine
    inputs: Inputs

    @property
    def num(self) -> int:
        """The number of samples."""
        return len(self.inputs[0])


def cut(engine: Engine, inputs: Inputs) -> list[Piece]:
    """Return the inputs of a request in pieces of at most a chunk."""
    return [Piece(engine, _taken(inputs, part)) for part in _chunks(len(inputs[0]))]


def run_pieces(pieces: Sequence[Piece]) -> list[Samples]:
    """Return the samples of each piece; those of an engine share its batches."""
    made: dict[int, Samples] = {}
    for engine in {id(piece.engine): piece.engine for piece in pieces}.values():
        numbers = [number for number, piece in enumerate(pieces) if piece.engine is engine]
        groups = [numbers] if engine.is_packed else [[number] for number in numbers]
        for group in groups:
            samples = engine.run(_joined([pieces[number].inputs for number in group]))
            ends = np.cumsum([pieces[number].num for number in group])
            made |= dict(zip(group, np.split(samples, ends[:-1]), strict=True))
    return [made[number] for number in range(len(pieces))]


def check_gpu() -> None:
    """Raise `ClusterUnusable` unless torch can use the GPU of this replica, whose node may have come after nodes were asked."""
    if not torch.cuda.is_available():
        raise unusable_here(built=torch.backends.cuda.is_built(), version=torch.__version__, field=SERVE_FIELD)


def _chunks(num: int) -> list[range]:
    """Return the indices below `num` in chunks, of which the last may be shorter."""
    return [range(start, min(start + CHUNK, num)) for start in range(0, num, CHUNK)]


def _joined(parts: Sequence[Inputs]) -> Inputs:
    labels = [part[1] for part in parts if part[1] is not None]
    return torch.cat([part[0] for part in parts]), torch.cat(labels) if labels else None


def _taken(inputs: Inputs, indices: Sequence[int] | range) -> Inputs:
    latents, labels = inputs
    return latents[list(indices)], None if labels is None else labels[list(indices)]


@torch.no_grad()
def _outputs(generator: PublishedGenerator, inputs: Inputs) -> Tensor:
    device = next(generator.parameters()).device
    latents, labels = inputs
    outputs: Tensor = generator(latents.to(device), None if labels is None else labels.to(device))
    return outputs
