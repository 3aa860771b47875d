"""One adversarial step: the discriminator, then the generator on the same fakes, then the average.

The generator runs once: the discriminator learns from its fakes detached, and the generator's gradient flows back through the
graph that made them. Reals and fakes pass the discriminator in one batch, which normalisation by fixed groups allows.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ganray.gan.average import average_decay, update_average
from ganray.gan.losses import discriminator_loss, generator_loss
from ganray.gan.penalties import r1_penalty
from ganray.gan.state import GanState

STATS = ("loss/discriminator", "loss/generator", "penalty/r1", "logits/real", "logits/fake")


@dataclass(frozen=True)
class Recipe:
    """The numbers of a step. `batch_size` is global; `average_half_life` is in images."""

    batch_size: int
    r1_gamma: float
    average_half_life: int
    precision: torch.dtype


class AdversarialStep:
    """Steps a state, on one rank or, where `torch.distributed` has several, in lockstep with the others."""

    def __init__(self, state: GanState, recipe: Recipe) -> None:
        self.state, self.recipe = state, recipe
        self.generator, self.discriminator = distribute(state.generator), distribute(state.discriminator)
        self.device_type = next(state.generator.parameters()).device.type

    def __call__(self, real_images: Tensor, latents: Tensor) -> Tensor:
        """Train on this rank's share and return its `STATS`, without waiting for the device.

        `real_images` [n, C, H, W] lie in [-1, 1]; `latents` are [n, latent_dim].
        """
        state, recipe = self.state, self.recipe
        with self._precision():
            fake_images = self.generator(latents)
        discriminator_stats = self._train_discriminator(real_images, fake_images.detach())
        generator_stats = self._train_generator(fake_images)
        state.images_seen += recipe.batch_size
        update_average(
            state.generator_average, state.generator, average_decay(state.images_seen, recipe.batch_size, recipe.average_half_life)
        )
        loss, penalty, real_logits, fake_logits = discriminator_stats
        return torch.stack([loss, generator_stats, penalty, real_logits, fake_logits])

    def _train_discriminator(self, real_images: Tensor, fake_images: Tensor) -> tuple[Tensor, ...]:
        real_images.requires_grad_(self.recipe.r1_gamma > 0)
        with self._precision():
            logits = self.discriminator(torch.cat([real_images, fake_images.to(real_images.dtype)]))
        real_logits, fake_logits = _full(logits).split(len(real_images))
        loss = discriminator_loss(real_logits, fake_logits)
        penalty = r1_penalty(real_logits, real_images) if self.recipe.r1_gamma > 0 else torch.zeros_like(loss)
        (loss + self.recipe.r1_gamma / 2 * penalty).backward()
        _apply(self.state.discriminator_optimizer)
        return loss.detach(), penalty.detach(), real_logits.detach().mean(), fake_logits.detach().mean()

    def _train_generator(self, fake_images: Tensor) -> Tensor:
        with frozen(self.state.discriminator), self._precision():
            logits = self.state.discriminator(fake_images)
        loss = generator_loss(_full(logits))
        loss.backward()
        _apply(self.state.generator_optimizer)
        return loss.detach()

    def _precision(self) -> torch.autocast:
        return torch.autocast(self.device_type, self.recipe.precision, enabled=self.recipe.precision == torch.bfloat16)


def distribute(network: nn.Module) -> Callable[..., Tensor]:
    """Return the network, wrapped so that every rank's gradients are averaged where there is more than one rank."""
    if not torch.distributed.is_initialized() or torch.distributed.get_world_size() == 1:
        return network
    return DistributedDataParallel(network, broadcast_buffers=False, gradient_as_bucket_view=True)


@contextlib.contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Spare a network its weights' gradients while others pass through it."""
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)


def _full(logits: Tensor) -> Tensor:
    """Return logits in float32 at least, since losses are exponentials."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


def _apply(optimizer: torch.optim.Optimizer) -> None:
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
