"""Collectives over the ranks of a run: broadcast, mean, interleaved all-gather. Any backend; the identity for a single process."""

from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

PIECE_BYTES = 64 << 20

T = TypeVar("T")


def rank() -> int:
    """Return this process's rank, 0 without a process group."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """Return the number of ranks, 1 without a process group."""
    return dist.get_world_size() if dist.is_initialized() else 1


def broadcast(value: T) -> T:
    """Return rank 0's picklable `value` on every rank."""
    if world_size() == 1:
        return value
    values = [value]
    dist.broadcast_object_list(values, src=0)
    return values[0]


def gather_values(value: T) -> list[T]:
    """Return the picklable value of each rank, on every rank."""
    if world_size() == 1:
        return [value]
    values: list[Any] = [None] * world_size()
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
        dist.broadcast(on_device, src=0)
        piece.copy_(on_device)
    return bytes(received)


def reduce_mean(values: Tensor) -> Tensor:
    """Return the mean of `values` over the ranks (an all-reduce, in place)."""
    if world_size() == 1:
        return values
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
    dist.all_gather(parts, padded)
    return torch.stack(parts, dim=1).flatten(0, 1)[:total]
