"""Small adversarial runs on one or several gloo ranks, for tests that compare them."""

import copy
import dataclasses
import math
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
import torch.nn.functional as F
from torch import Tensor

from ganray.config import (
    Adam,
    DcganNetworks,
    MotionNetworks,
    Networks,
    NoAugment,
    NonSaturatingLoss,
    Optimizer,
    Penalties,
    R3ganNetworks,
    TextConvNetworks,
    TextRecurrentNetworks,
    WaveganNetworks,
)
from ganray.config.training import share_of
from ganray.gan.batch import Batch, draw_inputs, num_uniforms
from ganray.gan.random_streams import RandomStream
from ganray.gan.state import GanState, create_state
from ganray.gan.step import AdversarialStep, Recipe
from tests.helpers.processes import PROCESSES

SHAPE = (1, 16, 16)
WAVE_SHAPE = (1, 300)
CLIP_SHAPE = (3, 1, 16, 16)
BATCH = 16
CLASSES = 3
NETWORKS = DcganNetworks(width=8, latent_dim=8, ghost_batch=4)
WAVES = WaveganNetworks(width=4, latent_dim=8, conditional=True)
CLIPS = MotionNetworks(width=4, max_width=8, latent_dim=8, motion_dim=4, ghost_batch=4, conditional=True)
RESIDUAL = R3ganNetworks(width=4, depth=1, group_width=4, latent_dim=8)
TEXT = TextConvNetworks(width=8, depth=1, kernel=3, latent_dim=8)
SENTENCES = TextRecurrentNetworks(units=8, width=8, blocks=1, latent_dim=8, pretrain_images=0, conditional=True)
TEXT_SHAPE = (5, 6)  # tokens and length
OPTIMIZER = Optimizer(generator=Adam(lr=1e-3), discriminator=Adam(lr=2e-3))
RECIPE = Recipe(
    batch_size=BATCH,
    ghost_batch=4,
    precision=torch.float32,
    optimizer=OPTIMIZER,
    loss=NonSaturatingLoss(),
    penalties=Penalties(r1_gamma=0.5),
    augment=NoAugment(),
    ema_half_life=1000,
    accumulate=1,
    discriminator_steps=1,
)


def shape_of(networks: Networks) -> tuple[int, ...]:
    """Return the shape of the samples that a family is tried on."""
    match networks:
        case WaveganNetworks():
            return WAVE_SHAPE
        case TextConvNetworks() | TextRecurrentNetworks():
            return TEXT_SHAPE
        case MotionNetworks():
            return CLIP_SHAPE
    return SHAPE


def new_state(networks: Networks = NETWORKS, recipe: Recipe = RECIPE, *, seed: int = 3, shape: tuple[int, ...] | None = None) -> GanState:
    """Return a small initial state."""
    return create_state(
        networks,
        shape or shape_of(networks),
        seed=seed,
        device=torch.device("cpu"),
        num_classes=CLASSES if networks.conditional else 0,
        spectral_norm=recipe.penalties.spectral_norm,
    )


def real_images(images_seen: int, dtype: torch.dtype = torch.float32, shape: tuple[int, ...] = SHAPE) -> Tensor:
    """Return a global batch [BATCH, *shape] that depends on its position alone."""
    uniforms = RandomStream(7, "reals").uniforms(images_seen, BATCH, math.prod(shape))
    return torch.from_numpy(uniforms).to(dtype).view(BATCH, *shape) * 2 - 1


def batch_at(
    images_seen: int,
    networks: Networks = NETWORKS,
    recipe: Recipe = RECIPE,
    *,
    rank: int = 0,
    world_size: int = 1,
    dtype: torch.dtype = torch.float32,
) -> Batch:
    """Return a rank's local batch of the step that starts at `images_seen`."""
    size = num_uniforms(recipe.augment, recipe.penalties, networks)
    latents, uniforms = draw_inputs(3, 0, images_seen, BATCH, latent_dim=networks.latent_dim, uniforms=size)
    labels = (torch.arange(BATCH) + images_seen) % CLASSES if networks.conditional else None
    share = share_of(rank, world_size, batch_size=BATCH, ghost_batch=recipe.ghost_batch)
    local = slice(share.start, share.start + share.size)
    reals = real_images(images_seen, dtype, shape_of(networks))
    if isinstance(networks, TextRecurrentNetworks):  # which reads tokens
        reals = F.one_hot(reals.argmax(1), reals.shape[1]).transpose(1, 2).to(dtype)
    whole = (
        reals,
        latents.to(dtype),
        labels,
        uniforms if uniforms is None else uniforms.to(dtype),
    )
    return Batch(*(part if part is None else part[local].clone() for part in whole))


def run_steps(
    num_steps: int,
    *,
    rank: int = 0,
    world_size: int = 1,
    dtype: torch.dtype = torch.float32,
    networks: Networks = NETWORKS,
    recipe: Recipe = RECIPE,
    state: GanState | None = None,
) -> GanState:
    """Return the state after some steps on this rank's local batches."""
    torch.set_num_threads(1)
    state = state or new_state(networks, recipe)
    for network in (state.generator, state.discriminator, state.generator_ema):
        network.to(dtype)
    step = AdversarialStep(state, recipe)
    for _ in range(num_steps):
        step(batch_at(state.images_seen, networks, recipe, rank=rank, world_size=world_size, dtype=dtype))
    return state


def go_on(
    saved: dict[str, dict[str, Any]] | None, num_steps: int, cases: dict[str, tuple[Networks, Recipe]], *, rank: int, world_size: int
) -> dict[str, dict[str, Any]]:
    """Return, for each case, the saved state in float64 after some more steps, from the start if there is none."""
    found = {}
    for name, (networks, recipe) in cases.items():
        state = new_state(networks, recipe)
        for network in (state.generator, state.discriminator, state.generator_ema):
            network.double()
        if saved:
            state.load_state_dict(copy.deepcopy(saved[name]))  # ranks are handed the same memory
        options: dict[str, Any] = {"networks": networks, "recipe": recipe, "state": state, "dtype": torch.float64}
        found[name] = run_steps(num_steps, rank=rank, world_size=world_size, **options).state_dict()
    return found


def on_ranks(world_size: int, folder: Path, function: Callable[..., Any], **arguments: Any) -> list[Any]:
    """Return what `function(rank=, world_size=, **arguments)` returns on each rank of a gloo group of real processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mp.start_processes(_rank, (world_size, port, folder, function, arguments), nprocs=world_size, start_method=PROCESSES.get_start_method())
    return [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in range(world_size)]


def _rank(rank: int, world_size: int, port: int, folder: Path, function: Callable[..., Any], arguments: dict[str, Any]) -> None:
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=world_size)
    try:
        torch.save(function(rank=rank, world_size=world_size, **arguments), folder / f"{rank}.pt")
    finally:
        dist.destroy_process_group()


def weights_of(state: GanState) -> dict[str, Tensor]:
    """Return a copy of all weights of a state, by name."""
    networks = {"generator": state.generator, "discriminator": state.discriminator, "generator_ema": state.generator_ema}
    return {f"{name}/{key}": value.clone() for name, network in networks.items() for key, value in network.state_dict().items()}


def weights_after(num_steps: int, cases: dict[str, tuple[Networks, Recipe]], *, rank: int, world_size: int) -> dict[str, dict[str, Tensor]]:
    """Return, for each case, all weights in float64 after some steps."""
    found = {}
    for name, (networks, recipe) in cases.items():
        state = run_steps(num_steps, rank=rank, world_size=world_size, dtype=torch.float64, networks=networks, recipe=recipe)
        found[name] = weights_of(state)
    return found


def gradients(cases: dict[str, tuple[Networks, Recipe]], *, rank: int, world_size: int) -> dict[str, dict[str, Tensor]]:
    """Return, for each case, the gradients of one step in float32 as the optimizers got them, by name."""
    return {name: _gradients(*case, rank, world_size) for name, case in cases.items()}


def _gradients(networks: Networks, recipe: Recipe, rank: int, world_size: int) -> dict[str, Tensor]:
    taken: dict[str, Tensor] = {}
    torch.set_num_threads(1)
    state = new_state(networks, recipe)
    for name, network, optimizer in (
        ("generator", state.generator, state.generator_optimizer),
        ("discriminator", state.discriminator, state.discriminator_optimizer),
    ):
        optimizer.register_step_pre_hook(
            lambda *_, n=name, m=network: taken.update({f"{n}/{k}": p.grad.clone() for k, p in m.named_parameters()})
        )
    step = AdversarialStep(state, recipe)
    for _ in range(recipe.discriminator_steps):
        step(batch_at(state.images_seen, networks, recipe, rank=rank, world_size=world_size))
    return taken


def with_penalties(**penalties: Any) -> Recipe:
    """Return the recipe with other penalties."""
    return dataclasses.replace(RECIPE, penalties=Penalties(**penalties))
