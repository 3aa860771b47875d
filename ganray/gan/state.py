"""Everything that training changes: networks, average, optimizers and the count of images. What a resume needs is all here."""

import contextlib
import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ganray.config import Adam, DcganNetworks, Optimizer
from ganray.gan.draws import Draws
from ganray.gan.networks import build_networks, measure_standing_statistics

FORMAT = 1
CALIBRATION_SAMPLES = 1024
CALIBRATION_CHUNK = 256


@dataclass
class GanState:
    """The state of a run, equal on every rank after every step.

    `images_seen` counts real images over all workers; `attempt` counts returns after a divergence.
    """

    generator: nn.Module
    discriminator: nn.Module
    generator_average: nn.Module
    generator_optimizer: torch.optim.Optimizer
    discriminator_optimizer: torch.optim.Optimizer
    images_seen: int = 0
    attempt: int = 0

    def state_dict(self) -> dict[str, Any]:
        """Return the state as tensors and plain values, which `torch.load(weights_only=True)` reads."""
        states = {name: part.state_dict() for name, part in self._parts().items()}
        return {"format": FORMAT, "images_seen": self.images_seen, "attempt": self.attempt, **states}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a state; its tensors may lie on another device."""
        if state["format"] != FORMAT:
            raise ValueError(f"a checkpoint of format {state['format']}, where this ganray reads {FORMAT}")
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
        self.images_seen, self.attempt = state["images_seen"], state["attempt"]

    def _parts(self) -> dict[str, Any]:
        return {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "generator_average": self.generator_average,
            "generator_optimizer": self.generator_optimizer,
            "discriminator_optimizer": self.discriminator_optimizer,
        }


def create_state(
    networks: DcganNetworks, optimizer: Optimizer, shape: tuple[int, int, int], *, seed: int, device: torch.device
) -> GanState:
    """Return a fresh state for samples of `shape` (C, H, W), the same on every rank."""
    generator, discriminator = (
        network.to(device, memory_format=torch.channels_last) for network in build_networks(networks, shape, seed=seed)
    )
    return GanState(
        generator,
        discriminator,
        copy.deepcopy(generator).requires_grad_(False),
        _adam(generator, optimizer.generator),
        _adam(discriminator, optimizer.discriminator),
    )


@contextlib.contextmanager
def unchanged(state: GanState) -> Iterator[None]:
    """Put the state back as it was when the block ends."""
    before = copy.deepcopy(state.state_dict())
    yield
    state.load_state_dict(before)
    state.generator.zero_grad()
    state.discriminator.zero_grad()


def calibrated_average(state: GanState, networks: DcganNetworks, *, seed: int) -> nn.Module:
    """Return a copy of the averaged generator in eval mode, its normalisation measured on latents that `seed` alone decides."""
    group = networks.norm_group
    latents = Draws(seed, "calibration").normals(0, -(-CALIBRATION_SAMPLES // group) * group, networks.latent_dim)
    average = copy.deepcopy(state.generator_average)
    device = next(average.parameters()).device
    measure_standing_statistics(average, latents.to(device).split(-(-CALIBRATION_CHUNK // group) * group))
    return average


def _adam(network: nn.Module, config: Adam) -> torch.optim.Optimizer:
    return torch.optim.Adam(network.parameters(), lr=config.lr, betas=(config.beta1, config.beta2), fused=True)
