"""Tracing of a generator by torch.export: a graph of operations with a free number of samples."""

import torch
from torch import Tensor
from torch.export import Dim, ExportedProgram

from ganray.registry.artifact import PublishedGenerator

Inputs = tuple[Tensor, Tensor | None]  # latents, and labels of a conditional generator
LATENTS, LABELS, SAMPLES = "latents", "labels", "samples"  # the names of inputs and output
BATCH = "batch"  # the name of the free dimension


def trace(generator: PublishedGenerator, inputs: Inputs) -> ExportedProgram:
    """Return the traced generator, whose arguments are latents and, if it is conditional, labels, any number of them."""
    with torch.no_grad():
        return torch.export.export(generator, present(inputs), dynamic_shapes=dynamic_shapes(inputs), strict=False)


def present(inputs: Inputs) -> tuple[Tensor, ...]:
    """Return the inputs without labels that are None."""
    return tuple(part for part in inputs if part is not None)


def dynamic_shapes(inputs: Inputs) -> tuple[dict[int, Dim] | None, ...]:
    """Return which dimension of each argument of a generator is free; None for labels that are None."""
    batch = Dim(BATCH, min=1)
    return tuple({0: batch} for _ in present(inputs))
