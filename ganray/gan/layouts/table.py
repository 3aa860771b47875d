"""The layout of tables: codes [N, columns] to inputs of networks [N, width], and a generator's outputs back to codes."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from ganray.gan.random_streams import RandomStream
from ganray.modalities.table.encoding import NUM_LEVELS, Encoding


@dataclass(frozen=True)
class TableLayout:
    """Numbers as normal quantiles, zero where a column's choice is a special value; then choices, as one-hot blocks."""

    encoding: Encoding

    @property
    def shape(self) -> tuple[int, ...]:
        """(width,)."""
        return (self.encoding.width,)

    def from_samples(self, samples: Tensor) -> Tensor:
        """Return codes [N, columns] as float32 [N, width]."""
        index, codes = indices(self.encoding, samples.device), samples.long()
        choices = torch.minimum(codes, index.num_choices - 1)
        rows = torch.zeros(len(codes), self.encoding.width, device=codes.device)
        digits = choices[:, index.block_column] // index.block_divisor % index.block_size
        rows.scatter_(1, index.block_start + digits, 1.0)
        levels = codes[:, index.number_column] - (index.num_choices[index.number_column] - 1)
        deviations = torch.special.ndtri((levels.clamp(min=0).double() + 0.5) / NUM_LEVELS).float()
        rows[:, : index.number_column.numel()] = torch.where(levels >= 0, deviations, 0.0)
        return rows

    def to_samples(self, outputs: Tensor) -> Tensor:
        """Return outputs [N, width] as codes int32 [N, columns]: the largest of each block, and the level of each number."""
        index, outputs = indices(self.encoding, outputs.device), outputs.float()
        padded = torch.nn.functional.pad(outputs, (0, 1), value=-torch.inf)
        digits = padded[:, index.block_inputs].argmax(2)  # [N, blocks]
        choices = torch.zeros(len(outputs), len(index.num_choices), dtype=torch.int64, device=outputs.device)
        choices.scatter_add_(1, index.block_column.expand(len(outputs), -1), digits * index.block_divisor)
        codes = torch.minimum(choices, index.num_choices - 1)
        columns = index.number_column
        levels = (torch.special.ndtr(outputs[:, : columns.numel()].double()) * NUM_LEVELS).long().clamp(0, NUM_LEVELS - 1)
        codes[:, columns] += torch.where(codes[:, columns] == index.num_choices[columns] - 1, levels, 0)
        return codes.to(torch.int32)

    def conditions(self, rows: Tensor, known: Tensor) -> Tensor:
        """Return rows [N, width] of which the columns `known` [N, columns] (1 or 0) are given, as conditions [N, width + columns].

        They are the inputs of those columns, zero elsewhere, and which they are.
        """
        return torch.cat([rows * known[:, indices(self.encoding, rows.device).input_column], known], dim=1)


def given_columns(stream: RandomStream, start: int, number: int, columns: int, *, share: float) -> Tensor:
    """Return which columns of the samples `start` on are given, float32 [number, columns] of 1 or 0.

    In a `share` of the samples some are: in half of those a single column, any of them as often, and in the other half each column by a
    probability that differs from sample to sample, small ones more often.
    """
    uniforms = torch.from_numpy(stream.uniforms(start, number, columns + 2)).float()
    first, second, each = uniforms.split([1, 1, columns], dim=1)
    single = (2 * second * columns).long() == torch.arange(columns)  # none where `second` is beyond a half
    several = (second >= 0.5) & (each < (first / max(share, 1e-9)).square())
    given: Tensor = ((first < share) & (single | several)).float()
    return given


@dataclass(frozen=True)
class Indices:
    """An encoding as tensors on a device.

    `block_*` are of each one-hot block; `block_inputs` [blocks, largest size] are its inputs, and one beyond all where it is smaller.
    `number_column` are the columns of numbers, `number_gate` where among the choices, and one beyond, it says that the number counts.
    `input_column` is the column of each input, `choice_place` the place of each choice in `block_inputs`, flat.
    """

    num_choices: Tensor
    block_column: Tensor
    block_start: Tensor
    block_size: Tensor
    block_divisor: Tensor
    block_inputs: Tensor
    choice_place: Tensor
    number_column: Tensor
    number_gate: Tensor
    input_column: Tensor


@lru_cache(maxsize=8)
def indices(encoding: Encoding, device: torch.device) -> Indices:
    """Return an encoding as tensors on a device, made once: making them would wait for it."""
    return make_indices(encoding, device)


def make_indices(encoding: Encoding, device: torch.device) -> Indices:
    """Return an encoding as tensors on a device."""
    blocks, numbers = encoding.blocks, encoding.numbers
    largest = max((block.size for block in blocks), default=1)
    inputs = [[block.start + place if place < block.size else encoding.width for place in range(largest)] for block in blocks]
    last = {block.column: block.start + block.size - 1 - len(numbers) for block in blocks}  # the choice that is a level
    values = {
        "num_choices": encoding.num_choices,
        "block_column": [block.column for block in blocks],
        "block_start": [block.start for block in blocks],
        "block_size": [block.size for block in blocks],
        "block_divisor": [block.divisor for block in blocks],
        "block_inputs": np.array(inputs, np.int64).reshape(-1, largest),
        "choice_place": [number * largest + place for number, block in enumerate(blocks) for place in range(block.size)],
        "number_column": numbers,
        "number_gate": [last.get(column, encoding.width - len(numbers)) for column in numbers],
        "input_column": [*numbers, *(block.column for block in blocks for _ in range(block.size))],
    }
    return Indices(**{name: torch.as_tensor(np.asarray(value, np.int64), device=device) for name, value in values.items()})
