"""One training step: the discriminator, then the generator on the same fakes, then the EMA; or a step of likelihood pretraining.

The generator runs once: the discriminator learns from its detached fakes, and the generator's gradient flows back through the
graph that made them. With gradient accumulation each part's fakes are generated again for the generator, to keep memory flat.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ganray.config import Augment, Cosine, Job, Loss, Optimizer, Penalties, TextRecurrentNetworks
from ganray.config.schedules import value_at
from ganray.gan.augment import apply_augment
from ganray.gan.batch import Batch, num_augment_uniforms, num_discriminator_uniforms
from ganray.gan.distributed import Network, distribute, gradient_sync, waiting_for, world_size
from ganray.gan.eager import optimizer_step
from ganray.gan.ema import ema_decay, update_ema
from ganray.gan.losses import discriminator_loss, generator_loss, is_relativistic, negative_log_likelihood
from ganray.gan.networks.spectral import iterate_spectral_norm
from ganray.gan.penalties import PenaltyWeights, interpolate, one_centred_penalty, penalty_weights, squared_gradients
from ganray.gan.state import GanState, set_hyperparameters
from ganray.gan.stats import Stats, diversity, stack_stats, sum_stats

FEW = 8  # samples of a part, by which diversity is measured in pretraining


@dataclass(frozen=True)
class Recipe:
    """The hyperparameters of a step. `batch_size` is the global one of a discriminator step; `ema_half_life` is in images.

    `discriminator_uniforms` is the number of a batch's uniforms, a sample, that the discriminator itself takes: phases, a pair of frames.
    On the first `pretrain_images` the generator is trained by maximum likelihood, and the discriminator is not.
    """

    batch_size: int
    ghost_batch: int
    precision: torch.dtype
    optimizer: Optimizer
    loss: Loss
    penalties: Penalties
    augment: Augment
    ema_half_life: int | Cosine[int]
    accumulate: int
    discriminator_steps: int
    discriminator_uniforms: int = 0
    pretrain_images: int = 0


def recipe_of(job: Job, precision: torch.dtype) -> Recipe:
    """Return the hyperparameters of a job whose schedules are resolved."""
    train = job.train
    return Recipe(
        batch_size=train.batch_size,
        ghost_batch=job.networks.ghost_batch,
        precision=precision,
        optimizer=job.optimizer,
        loss=job.loss,
        penalties=job.penalties,
        augment=job.augment,
        ema_half_life=train.ema_half_life,
        accumulate=train.accumulate,
        discriminator_steps=train.discriminator_steps,
        discriminator_uniforms=num_discriminator_uniforms(job.networks),
        pretrain_images=job.networks.pretrain_images if isinstance(job.networks, TextRecurrentNetworks) else 0,
    )


class AdversarialStep:
    """Trains a state step by step, on one rank or, where `torch.distributed` has several, in lockstep with the others."""

    def __init__(self, state: GanState, recipe: Recipe) -> None:
        self.state, self.recipe = state, recipe
        self.generator, self.discriminator = distribute(state.generator), distribute(state.discriminator)
        self.device_type = next(state.generator.parameters()).device.type

    def __call__(self, batch: Batch) -> Tensor:
        """Train on this rank's local batch; return `stack_stats` of the step, without synchronising with the device.

        The generator is trained at every `discriminator_steps`-th step.
        """
        state, recipe = self.state, self.recipe
        pretrains = state.images_seen < recipe.pretrain_images
        step, every = state.images_seen // recipe.batch_size, 1 if pretrains else recipe.discriminator_steps
        trains_generator = (step + 1) % every == 0
        parts = list(batch.split(recipe.accumulate, ghost_batch=recipe.ghost_batch))
        set_hyperparameters(state, recipe.optimizer)
        with waiting_for("the gradients of a step"):
            stats = self._pretrain(parts) if pretrains else self._train_both(parts, step, trains_generator=trains_generator)
        state.images_seen += recipe.batch_size
        if trains_generator:
            half_life = value_at(recipe.ema_half_life, state.images_seen)
            decay = ema_decay(state.images_seen, recipe.batch_size * every, half_life)
            update_ema(state.generator_ema, state.generator, decay)
        return stack_stats(stats)

    def _pretrain(self, parts: Sequence[Batch]) -> Stats:
        """Train the generator by maximum likelihood: each real token given the real ones before it (teacher forcing)."""
        collected = []
        for part, is_last in _with_last(parts):
            with gradient_sync(self.generator, enabled=is_last):
                with self._autocast():
                    log_probabilities = self.generator(part.latents, part.labels, part.real_images)
                loss = negative_log_likelihood(log_probabilities, part.real_images)
                (loss / self._num_parts(part)).backward()
            few = part.rows(0, FEW)
            stats = {"loss/generator": loss.detach(), "samples/diversity": diversity(self._fakes_without_gradient(few), few.real_images)}
            collected.append((stats, self._num_parts(part)))
        return sum_stats(collected) | {"gradient/generator": optimizer_step(self.state.generator_optimizer)}

    def _train_both(self, parts: Sequence[Batch], step: int, *, trains_generator: bool) -> Stats:
        """Train the discriminator, and the generator against it if it is its turn."""
        if self.recipe.penalties.spectral_norm:
            iterate_spectral_norm(self.state.discriminator)
        shares_fakes = trains_generator and self.recipe.accumulate == 1  # on all ranks alike: DDP counts on it
        shared = self._fakes(parts[0]) if shares_fakes else None
        stats = self._train_discriminator(parts, shared, step)
        return stats | self._train_generator(parts, shared) if trains_generator else stats

    def _train_discriminator(self, parts: Sequence[Batch], shared: Tensor | None, step: int) -> Stats:
        weights = penalty_weights(self.recipe.penalties, images_seen=self.state.images_seen, step=step)
        collected = []
        for part, is_last in _with_last(parts):
            fake_images = self._fakes_without_gradient(part) if shared is None else shared.detach()
            with gradient_sync(self.discriminator, enabled=is_last):
                objective, stats = self._discriminator_objective(part, fake_images.to(part.real_images.dtype), weights)
                (objective / self._num_parts(part)).backward()
            collected.append((stats, self._num_parts(part)))
        norm = optimizer_step(self.state.discriminator_optimizer)
        return sum_stats(collected) | {"gradient/discriminator": norm}

    def _train_generator(self, parts: Sequence[Batch], shared: Tensor | None) -> Stats:
        collected = []
        with frozen(self.state.discriminator):
            for part, is_last in _with_last(parts):
                with gradient_sync(self.generator, enabled=is_last):
                    fake_logits = self._logits(self.state.discriminator, self._fakes(part) if shared is None else shared, part)
                    loss = generator_loss(self.recipe.loss, self._real_logits(part), fake_logits)
                    (loss / self._num_parts(part)).backward()
                stats = {"loss/generator": loss.detach() * self.recipe.discriminator_steps}  # averaged over steps without, too
                collected.append((stats, self._num_parts(part)))
        norm = optimizer_step(self.state.generator_optimizer)
        return sum_stats(collected) | {"gradient/generator": norm * self.recipe.discriminator_steps}

    def _num_parts(self, part: Batch) -> float:
        """Return how many parts of this size the mean local batch has.

        Means over the part, divided by it, add up over parts, and average over ranks as DDP does, to means over the global batch:
        also where ranks and parts are of different sizes.
        """
        return self.recipe.batch_size / (len(part) * world_size())

    def _discriminator_objective(self, part: Batch, fake_images: Tensor, weights: PenaltyWeights) -> tuple[Tensor, Stats]:
        """Return the discriminator's loss with penalties, and statistics."""
        real_logits, fake_logits, r1, r2 = self._logits_and_penalties(part, fake_images, weights)
        loss = discriminator_loss(self.recipe.loss, real_logits, fake_logits)
        wgan_gp = self._wgan_gp(part, fake_images) if weights.wgan_gp else torch.zeros_like(loss)
        objective = loss + weights.r1 * r1 + weights.r2 * r2 + weights.wgan_gp * wgan_gp
        penalties = {"penalty/r1": r1, "penalty/r2": r2, "penalty/wgan_gp": wgan_gp}
        stats = {
            "loss/discriminator": loss,
            **{name: value * self.recipe.penalties.every for name, value in penalties.items()},  # averaged over steps without, too
            "logits/real": real_logits.mean(),
            "logits/fake": fake_logits.mean(),
            "discriminator/accuracy": (real_logits > fake_logits).float().mean(),
            "samples/diversity": diversity(fake_images, part.real_images),
        }
        return objective, {name: value.detach() for name, value in stats.items()}

    def _logits_and_penalties(self, part: Batch, fake_images: Tensor, weights: PenaltyWeights) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return logits of reals and of fakes, [n] each, and the means of R1 and R2, zero where their weight is.

        Reals and fakes pass the discriminator in one batch, unless only one of them is differentiated twice.
        """
        zero = fake_images.new_zeros((), dtype=torch.promote_types(fake_images.dtype, torch.float32))
        if bool(weights.r1) != bool(weights.r2):
            reals, fakes = part.real_images.requires_grad_(bool(weights.r1)), fake_images.requires_grad_(bool(weights.r2))
            real_logits, fake_logits = (self._logits(self.discriminator, images, part) for images in (reals, fakes))
            if weights.r1:
                return real_logits, fake_logits, squared_gradients(real_logits, reals).mean(), zero
            return real_logits, fake_logits, zero, squared_gradients(fake_logits, fakes).mean()
        images = torch.cat([part.real_images, fake_images]).requires_grad_(bool(weights.r1))
        logits = self._logits(self.discriminator, images, part, repeats=2)
        r1, r2 = (half.mean() for half in squared_gradients(logits, images).chunk(2)) if weights.r1 else (zero, zero)
        real_logits, fake_logits = logits.chunk(2)
        return real_logits, fake_logits, r1, r2

    def _wgan_gp(self, part: Batch, fake_images: Tensor) -> Tensor:
        assert part.uniforms is not None, "batches hold `num_uniforms` numbers a sample"
        images = interpolate(part.real_images.detach(), fake_images.detach(), part.uniforms[:, -1]).requires_grad_()
        return one_centred_penalty(squared_gradients(self._logits(self.discriminator, images, part), images)).mean()

    def _logits(self, discriminator: Network, images: Tensor, part: Batch, *, repeats: int = 1) -> Tensor:
        """Return float32 logits [n * repeats] of images, augmented; they are a part's rows, `repeats` times."""
        labels, uniforms = (None if column is None else torch.cat([column] * repeats) for column in (part.labels, part.uniforms))
        augmented = apply_augment(self.recipe.augment, images, uniforms, images_seen=self.state.images_seen)
        with self._autocast():
            logits = discriminator(augmented, labels, *self._own_uniforms(uniforms))
        return logits.to(torch.promote_types(logits.dtype, torch.float32))

    def _own_uniforms(self, uniforms: Tensor | None) -> tuple[Tensor, ...]:
        """Return what a discriminator that draws by random numbers takes beside samples and labels."""
        if not self.recipe.discriminator_uniforms or uniforms is None:
            return ()
        return (uniforms[:, num_augment_uniforms(self.recipe.augment) :][:, : self.recipe.discriminator_uniforms],)

    def _real_logits(self, part: Batch) -> Tensor | None:
        """Return the logits of the reals after the discriminator's update, for a relativistic loss of the generator."""
        if not is_relativistic(self.recipe.loss):
            return None
        with torch.no_grad():
            return self._logits(self.state.discriminator, part.real_images, part)

    def _fakes(self, part: Batch) -> Tensor:
        with self._autocast():
            return self.generator(part.latents, part.labels)

    def _fakes_without_gradient(self, part: Batch) -> Tensor:
        with torch.no_grad(), self._autocast():
            fake_images: Tensor = self.state.generator(part.latents, part.labels)
            return fake_images

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device_type, self.recipe.precision, enabled=self.recipe.precision == torch.bfloat16)


@contextlib.contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Compute no gradients of a network's weights inside the block."""
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)


def _with_last(parts: Sequence[Batch]) -> Iterator[tuple[Batch, bool]]:
    """Yield each part, and whether it is the last."""
    return ((part, number + 1 == len(parts)) for number, part in enumerate(parts))
