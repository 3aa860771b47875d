"""What the ranks of a run exchange beside gradients. Works with any backend, and without one for a single process."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def rank() -> int:
    """Return this process's rank, 0 where there is no process group."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """Return the number of ranks, 1 where there is no process group."""
    return dist.get_world_size() if dist.is_initialized() else 1


def broadcast(value: Any) -> Any:
    """Return rank 0's plain `value` on every rank."""
    if world_size() == 1:
        return value
    box = [value]
    dist.broadcast_object_list(box, src=0)
    return box[0]


def reduce_mean(values: Tensor) -> Tensor:
    """Return the mean of `values` over the ranks."""
    if world_size() == 1:
        return values
    dist.all_reduce(values)
    return values / world_size()


def gather_interleaved(chunks: Tensor, total: int) -> Tensor:
    """Return [total, ...] chunks in order on every rank, where rank r holds chunks r, r + world size, ... as [n, ...]."""
    size = world_size()
    if size == 1:
        return chunks
    most = -(-total // size)
    padded = chunks.new_zeros(most, *chunks.shape[1:])
    padded[: len(chunks)] = chunks
    parts = [torch.empty_like(padded) for _ in range(size)]
    dist.all_gather(parts, padded)
    return torch.stack(parts, dim=1).flatten(0, 1)[:total]
