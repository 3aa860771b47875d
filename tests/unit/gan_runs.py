"""Small adversarial runs on one or several gloo ranks, for tests that compare them."""

import dataclasses
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from ganray.config import Adam, DcganNetworks, Optimizer
from ganray.gan.draws import Draws
from ganray.gan.state import GanState, create_state
from ganray.gan.step import AdversarialStep, Recipe

SHAPE = (1, 16, 16)
BATCH = 16
NETWORKS = DcganNetworks(width=8, latent_dim=8, norm_group=4)
OPTIMIZER = Optimizer(generator=Adam(lr=1e-3), discriminator=Adam(lr=2e-3))
RECIPE = Recipe(batch_size=BATCH, r1_gamma=0.5, average_half_life=1000, precision=torch.float32)


def real_images(images_seen: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Return a global batch [BATCH, C, H, W] that depends on its position alone."""
    uniforms = Draws(7, "reals").uniforms(images_seen, BATCH, 256)
    return torch.from_numpy(uniforms).to(dtype).view(BATCH, *SHAPE) * 2 - 1


def run_steps(num_steps: int, *, rank: int, world_size: int, dtype: torch.dtype, recipe: Recipe = RECIPE, seed: int = 3) -> GanState:
    """Return the state after some steps of this rank's share."""
    torch.set_num_threads(1)
    state = create_state(NETWORKS, OPTIMIZER, SHAPE, seed=seed, device=torch.device("cpu"))
    for network in (state.generator, state.discriminator, state.generator_average):
        network.to(dtype)
    step = AdversarialStep(state, recipe)
    share = BATCH // world_size
    mine = slice(rank * share, (rank + 1) * share)
    for _ in range(num_steps):
        latents = Draws(seed, "latents").normals(state.images_seen, BATCH, NETWORKS.latent_dim).to(dtype)
        step(real_images(state.images_seen, dtype)[mine], latents[mine])
    return state


def on_ranks(world_size: int, folder: Path, function: Callable[..., Any], **arguments: Any) -> list[Any]:
    """Return what `function(rank=, world_size=, **arguments)` returns on each rank of a gloo group of real processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mp.spawn(_rank, (world_size, port, folder, function, arguments), nprocs=world_size)
    return [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in range(world_size)]


def _rank(rank: int, world_size: int, port: int, folder: Path, function: Callable[..., Any], arguments: dict[str, Any]) -> None:
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=world_size)
    try:
        torch.save(function(rank=rank, world_size=world_size, **arguments), folder / f"{rank}.pt")
    finally:
        dist.destroy_process_group()


def weights_after(num_steps: int, *, rank: int, world_size: int, dtype: torch.dtype, r1_gamma: float) -> dict[str, torch.Tensor]:
    """Return all weights after some steps, by name."""
    state = run_steps(num_steps, rank=rank, world_size=world_size, dtype=dtype, recipe=dataclasses.replace(RECIPE, r1_gamma=r1_gamma))
    networks = {"generator": state.generator, "discriminator": state.discriminator, "average": state.generator_average}
    return {f"{name}/{key}": value for name, network in networks.items() for key, value in network.state_dict().items()}


def gradients(*, rank: int, world_size: int, r1_gamma: float) -> dict[str, torch.Tensor]:
    """Return the gradients of one step, by name, as the optimizers got them."""
    taken: dict[str, torch.Tensor] = {}
    torch.set_num_threads(1)
    state = create_state(NETWORKS, OPTIMIZER, SHAPE, seed=3, device=torch.device("cpu"))
    step = AdversarialStep(state, dataclasses.replace(RECIPE, r1_gamma=r1_gamma))
    for name, network, optimizer in (
        ("generator", state.generator, state.generator_optimizer),
        ("discriminator", state.discriminator, state.discriminator_optimizer),
    ):
        optimizer.register_step_pre_hook(
            lambda *_, n=name, m=network: taken.update({f"{n}/{k}": p.grad.clone() for k, p in m.named_parameters()})
        )
    share = BATCH // world_size
    mine = slice(rank * share, (rank + 1) * share)
    step(real_images(0)[mine], Draws(3, "latents").normals(0, BATCH, NETWORKS.latent_dim)[mine])
    return taken
