"""The training state: networks, EMA, optimizers and progress. A resume needs nothing else."""

import contextlib
import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ganray.config import Networks, Optimizer
from ganray.config.schedules import value_at
from ganray.gan.eager import EagerAdam
from ganray.gan.networks import Shape, build_networks, measure_standing_statistics
from ganray.gan.networks.memory import to_device
from ganray.gan.prior import Prior
from ganray.modalities.table.encoding import Encoding

FORMAT = 2
RENAMED = {"generator_average": "generator_ema"}  # parts that format 1 called otherwise
CALIBRATION_SAMPLES = 1024
CALIBRATION_CHUNK = 256


@dataclass
class GanState:
    """The training state of a run, equal on every rank after every step.

    `images_seen` counts real images over all workers; `attempt` counts rollbacks after a divergence.
    """

    generator: nn.Module
    discriminator: nn.Module
    generator_ema: nn.Module
    generator_optimizer: torch.optim.Optimizer
    discriminator_optimizer: torch.optim.Optimizer
    images_seen: int = 0
    attempt: int = 0

    def state_dict(self) -> dict[str, Any]:
        """Return the state as tensors and plain values, which `torch.load(weights_only=True)` loads."""
        states = {name: part.state_dict() for name, part in self._parts().items()}
        return {"format": FORMAT, "images_seen": self.images_seen, "attempt": self.attempt, **states}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load a state; its tensors may be on another device. Raises ValueError for a later format."""
        if state["format"] > FORMAT:
            raise ValueError(f"expected a checkpoint of format {FORMAT} at most, got {state['format']}")
        state = {RENAMED.get(name, name): part for name, part in state.items()}
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
        self.images_seen, self.attempt = state["images_seen"], state["attempt"]

    def _parts(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        return {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "generator_ema": self.generator_ema,
            "generator_optimizer": self.generator_optimizer,
            "discriminator_optimizer": self.discriminator_optimizer,
        }


def create_state(
    networks: Networks,
    shape: Shape,
    *,
    seed: int,
    device: torch.device,
    num_classes: int = 0,
    spectral_norm: bool = False,
    encoding: Encoding | None = None,
) -> GanState:
    """Return the initial state for samples of `shape`, as networks see them, the same on every rank."""
    built = build_networks(networks, shape, seed=seed, num_classes=num_classes, spectral_norm=spectral_norm, encoding=encoding)
    for network in built:
        to_device(network, device)
    return state_of(*built)


def state_of(generator: nn.Module, discriminator: nn.Module) -> GanState:
    """Return the initial state of two networks: their EMA is the generator, their optimizers (Adam) are new."""
    generator_ema = copy.deepcopy(generator).requires_grad_(False)
    return GanState(generator, discriminator, generator_ema, _adam(generator), _adam(discriminator))


def set_hyperparameters(state: GanState, optimizer: Optimizer) -> None:
    """Set both optimizers' learning rates and betas to the job's values at `images_seen`; those of a loaded checkpoint do not count."""
    for adam, config in ((state.generator_optimizer, optimizer.generator), (state.discriminator_optimizer, optimizer.discriminator)):
        lr, *betas = (value_at(value, state.images_seen) for value in (config.lr, config.beta1, config.beta2))
        for group in adam.param_groups:
            group["lr"], group["betas"] = lr, tuple(betas)


def compile_networks(state: GanState, names: Sequence[str]) -> None:
    """Compile the named networks in place (torch.compile), with static shapes: dynamic ones fail on CPUs for 1x1 feature maps."""
    for name in names:
        getattr(state, name).compile(dynamic=False)


@contextlib.contextmanager
def unchanged(state: GanState) -> Iterator[None]:
    """Restore the state when the block ends."""
    before = copy.deepcopy(state.state_dict())
    yield
    state.load_state_dict(before)
    state.generator.zero_grad()
    state.discriminator.zero_grad()


def calibrated_ema(state: GanState, ghost_batch: int, prior: Prior, *, seed: int) -> nn.Module:
    """Return a copy of the EMA generator in eval mode, its standing statistics measured on inputs that are a function of `seed`."""
    generator = copy.deepcopy(state.generator_ema)
    device = next(generator.parameters()).device
    latents, labels = prior.sample(seed, "calibration", 0, _whole_groups(CALIBRATION_SAMPLES, ghost_batch))
    chunk = _whole_groups(CALIBRATION_CHUNK, ghost_batch)
    chunks = [part.to(device).split(chunk) for part in (latents, labels) if part is not None]
    measure_standing_statistics(generator, zip(*chunks, strict=True))
    return generator


def _whole_groups(number: int, ghost_batch: int) -> int:
    """Round up to a multiple of the ghost batch size."""
    return -(-number // ghost_batch) * ghost_batch


def _adam(network: nn.Module) -> torch.optim.Optimizer:
    """Return Adam, whose hyperparameters are set at every step."""
    return EagerAdam(network.parameters(), fused=True)
