"""Speed of ganray's strided convolutions against torch's own on a CPU, forward and backward, layer by layer."""

import argparse
from collections.abc import Callable

import torch
from torch import nn

from benchmarks.ratios import alternate, summary
from ganray.gan.networks.strided import StridedConv2d, StridedConvTranspose2d
from ganray.runs.resolve import cpu_has_bfloat16
from ganray.train.worker.process import keep_freed_memory

LAYERS = [  # direction, inputs, outputs, side of the input's map, batch
    ("down", 1, 64, 32, 64),
    ("down", 64, 128, 16, 128),
    ("down", 128, 256, 8, 128),
    ("down", 128, 256, 64, 16),
    ("down", 256, 512, 8, 64),
    ("up", 512, 256, 4, 64),
    ("up", 256, 128, 4, 64),
    ("up", 256, 128, 32, 16),
    ("up", 64, 1, 16, 64),
    ("up", 64, 1, 128, 16),
]
KINDS = {"down": (nn.Conv2d, StridedConv2d), "up": (nn.ConvTranspose2d, StridedConvTranspose2d)}


def main() -> None:
    """Print a ratio for each layer."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=25)
    arguments = parser.parse_args()
    keep_freed_memory()
    for precision in (torch.bfloat16, torch.float32) if cpu_has_bfloat16() else (torch.float32,):
        for direction, inputs, outputs, side, batch in LAYERS:
            torchs, ours = KINDS[direction]
            layers = torchs(inputs, outputs, 4, 2, 1, bias=False), ours(inputs, outputs, bias=False)
            ratios = alternate(*(pass_through(layer, inputs, side, batch, precision) for layer in layers), pairs=arguments.pairs)
            print(f"{precision}, {direction} from {inputs} x {side} x {side} to {outputs}, torch's / ours: {summary(ratios)}", flush=True)


def pass_through(layer: nn.Module, inputs: int, side: int, batch: int, precision: torch.dtype) -> Callable[[], None]:
    """Return a function that runs a layer forward and backward, to its input and weight."""
    layer.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # which torch does not declare
    features = torch.randn(batch, inputs, side, side).to(precision, memory_format=torch.channels_last).requires_grad_()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16):
        pull = torch.randn_like(layer(features))

    def run() -> None:
        layer.zero_grad()
        features.grad = None
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16):
            output = layer(features)
        output.backward(pull)

    return run


if __name__ == "__main__":
    main()
