"""Collectives over the ranks of a run: broadcast, mean, interleaved all-gather, DDP. Any backend; the identity for a single process.

Each has the process group's time limit, after which it raises which rank waited for which others, and for what.
"""

import contextlib
import re
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ganray.errors import ClusterError, plural
from ganray.gan.eager import ddp_without_compiler, spare_compiler

PIECE_BYTES = 64 << 20
TIMEOUT = re.compile(r"tim(ed|e) ?-?out", re.IGNORECASE)  # in what a backend raises
SETTLE_S = 5.0  # within which all ranks that wait for the same one have met the limit

T = TypeVar("T")
Network = Callable[..., Tensor]  # of samples or latents, labels if any, and what else a network takes


def rank() -> int:
    """Return this process's rank, 0 without a process group."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """Return the number of ranks, 1 without a process group."""
    return dist.get_world_size() if dist.is_initialized() else 1


@contextlib.contextmanager
def waiting_for(what: str) -> Iterator[None]:
    """Raise `ClusterError` that says which rank waited for which others, if a collective of the block, which is `what`, takes too long."""
    try:
        yield
    except RuntimeError as error:
        if world_size() == 1 or not TIMEOUT.search(str(error)):
            raise
        absent = absent_ranks(what)
        others = f"rank{'s'[: len(absent) != 1]} {', '.join(map(str, absent))}" if absent else "others"
        problem = f"rank {rank()} of {plural(world_size(), 'worker')} waited in vain for {others} in {what}"
        raise ClusterError("train.collective_timeout", problem, "see what keeps them in their logs; the same command goes on") from error


def absent_ranks(what: str) -> list[int]:
    """Return the ranks that did not wait for `what`: those that did note it, as this one, in the process group's store, which rank 0 holds.

    A store that does not answer stands for rank 0.
    """
    store = dist.distributed_c10d._get_default_store()
    store.set_timeout(timedelta(seconds=SETTLE_S))
    try:
        store.set(f"waited for {what} {rank()}", "")
        time.sleep(SETTLE_S)
        return [other for other in range(world_size()) if not store.check([f"waited for {what} {other}"])]
    except RuntimeError:
        return [0]


def broadcast(value: T) -> T:
    """Return rank 0's picklable `value` on every rank."""
    if world_size() == 1:
        return value
    values = [value]
    with waiting_for("a broadcast"):
        dist.broadcast_object_list(values, src=0)
    return values[0]


def gather_values(value: T) -> list[T]:
    """Return the picklable value of each rank, on every rank."""
    if world_size() == 1:
        return [value]
    values: list[Any] = [None] * world_size()
    with waiting_for("a gathering of values"):
        dist.all_gather_object(values, value)
    return values


def broadcast_bytes(data: bytes | None, device: torch.device) -> bytes:
    """Return rank 0's bytes on every rank, in pieces of 64 MiB that pass through the memory of `device`."""
    if world_size() == 1:
        assert data is not None
        return data
    size = broadcast(len(data or b""))
    received = bytearray(data) if data is not None else bytearray(size)
    for piece in torch.frombuffer(received, dtype=torch.uint8).split(PIECE_BYTES):
        on_device = piece.to(device)
        with waiting_for("a broadcast of the training state"):
            dist.broadcast(on_device, src=0)
        piece.copy_(on_device)
    return bytes(received)


def reduce_mean(values: Tensor) -> Tensor:
    """Return the mean of `values` over the ranks (an all-reduce, in place)."""
    if world_size() == 1:
        return values
    with waiting_for("a mean over ranks"):
        dist.all_reduce(values)
    return values / world_size()


def gather_interleaved(chunks: Tensor, total: int) -> Tensor:
    """Return [total, ...] chunks in order on every rank, where rank r holds chunks r, r + world size, ... as [n, ...]."""
    size = world_size()
    if size == 1:
        return chunks
    longest = -(-total // size)
    padded = chunks.new_zeros(longest, *chunks.shape[1:])
    padded[: len(chunks)] = chunks
    parts = [torch.empty_like(padded) for _ in range(size)]
    with waiting_for("a gathering of samples"):
        dist.all_gather(parts, padded)
    return torch.stack(parts, dim=1).flatten(0, 1)[:total]


def distribute(network: nn.Module) -> Network:
    """Return the network, wrapped in DDP (gradients averaged over the ranks) where there is more than one rank."""
    if world_size() == 1:
        return network
    spare_compiler(DistributedDataParallel)
    with ddp_without_compiler():
        return DistributedDataParallel(network, broadcast_buffers=False, gradient_as_bucket_view=True)


def gradient_sync(network: Network, *, enabled: bool) -> contextlib.AbstractContextManager[None]:
    """Let DDP average the gradients of a backward pass, or (gradient accumulation) only add them up on this rank."""
    return network.no_sync() if isinstance(network, DistributedDataParallel) and not enabled else contextlib.nullcontext()
