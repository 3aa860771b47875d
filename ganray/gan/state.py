"""Everything that training changes: networks, average, optimizers and the count of images. What a resume needs is all here."""

import contextlib
import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ganray.config import Networks, Optimizer
from ganray.gan.networks import build_networks, measure_standing_statistics
from ganray.gan.prior import Prior
from ganray.gan.schedules import value_at

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
    generator_ema: nn.Module
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
            "generator_ema": self.generator_ema,
            "generator_optimizer": self.generator_optimizer,
            "discriminator_optimizer": self.discriminator_optimizer,
        }


def create_state(
    networks: Networks,
    shape: tuple[int, int, int],
    *,
    seed: int,
    device: torch.device,
    num_classes: int = 0,
    spectral_norm: bool = False,
) -> GanState:
    """Return a fresh state for samples of `shape` (C, H, W), the same on every rank."""
    built = build_networks(networks, shape, seed=seed, num_classes=num_classes, spectral_norm=spectral_norm)
    return state_of(*(network.to(device, memory_format=torch.channels_last) for network in built))


def state_of(generator: nn.Module, discriminator: nn.Module) -> GanState:
    """Return the state of two networks that have not been trained yet."""
    average = copy.deepcopy(generator).requires_grad_(False)
    return GanState(generator, discriminator, average, _adam(generator), _adam(discriminator))


def set_hyperparameters(state: GanState, optimizer: Optimizer) -> None:
    """Give both optimizers what the job says for the images seen, whatever they held: a checkpoint brings its own along."""
    for adam, config in ((state.generator_optimizer, optimizer.generator), (state.discriminator_optimizer, optimizer.discriminator)):
        lr, *betas = (value_at(value, state.images_seen) for value in (config.lr, config.beta1, config.beta2))
        for group in adam.param_groups:
            group["lr"], group["betas"] = lr, tuple(betas)


def compile_networks(state: GanState, names: list[str]) -> None:
    """Pass the named networks through torch.compile, in place; shapes are fixed, and 1x1 latents break a dynamic one on CPUs."""
    for name in names:
        getattr(state, name).compile(dynamic=False)


@contextlib.contextmanager
def unchanged(state: GanState) -> Iterator[None]:
    """Put the state back as it was when the block ends."""
    before = copy.deepcopy(state.state_dict())
    yield
    state.load_state_dict(before)
    state.generator.zero_grad()
    state.discriminator.zero_grad()


def calibrated_ema(state: GanState, ghost_batch: int, prior: Prior, *, seed: int) -> nn.Module:
    """Return a copy of the averaged generator in eval mode, its normalisation measured on inputs that `seed` alone decides."""
    average = copy.deepcopy(state.generator_ema)
    device = next(average.parameters()).device
    latents, labels = prior.draw(seed, "calibration", 0, _whole_groups(CALIBRATION_SAMPLES, ghost_batch))
    chunk = _whole_groups(CALIBRATION_CHUNK, ghost_batch)
    chunks = [part.to(device).split(chunk) for part in (latents, labels) if part is not None]
    measure_standing_statistics(average, zip(*chunks, strict=True))
    return average


def _whole_groups(number: int, ghost_batch: int) -> int:
    return -(-number // ghost_batch) * ghost_batch


def _adam(network: nn.Module) -> torch.optim.Optimizer:
    """Return an optimizer whose rates are set at every step."""
    return torch.optim.Adam(network.parameters(), fused=True)
