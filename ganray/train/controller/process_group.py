"""The process group of a run's workers, as Ray Train's controller has them make it.

Ray's own `TorchConfig` imports torch in whatever process it is named: two seconds in the driver and two in the controller, for which
each start of workers would wait. Here only the workers import it.
"""

import logging
import os
import socket
from dataclasses import asdict, dataclass
from datetime import timedelta
from ipaddress import ip_address
from typing import Any

import ray
from ray.exceptions import GetTimeoutError
from ray.train import get_context
from ray.train._internal.utils import get_address_and_port
from ray.train.backend import Backend, BackendConfig
from ray.train.v2._internal.util import TrainingFramework

logger = logging.getLogger(__name__)

LEAVE_S = 5.0  # that ranks have to leave the group
INTERFACES = ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME")  # on which ranks listen; by themselves gloo and NCCL choose one of a network


@dataclass
class ProcessGroup(BackendConfig):
    """Settings of `torch.distributed`: its `backend`, "gloo" or "nccl", and how long a collective may take, in seconds."""

    backend: str
    timeout_s: int

    @property
    def backend_cls(self) -> type["ProcessGroupBackend"]:
        """Return what makes and ends the group."""
        return ProcessGroupBackend

    @property
    def framework(self) -> TrainingFramework:
        """Return the name by which Ray's dashboard knows what trains."""
        return TrainingFramework.TORCH

    def to_dict(self) -> dict[str, Any]:
        """Return the settings, as Ray's dashboard shows them."""
        return asdict(self)


class ProcessGroupBackend(Backend):
    """Has all workers join one group when they have started, by the address of rank 0, and leave it before they end."""

    share_cuda_visible_devices = True  # NCCL reaches the other GPUs of a node directly

    def on_start(self, worker_group: Any, backend_config: BackendConfig) -> None:
        """Have the workers join. Raises what a worker met."""
        assert isinstance(backend_config, ProcessGroup)
        host, port = worker_group.execute_single(0, get_address_and_port)
        worker_group.execute(join, backend_config, host, port)

    def on_shutdown(self, worker_group: Any, backend_config: BackendConfig) -> None:
        """Have the workers leave; one that waits for others in vain is ended with its process anyway."""
        try:
            ray.get(worker_group.execute_async(leave), timeout=LEAVE_S)
        except GetTimeoutError:
            logger.warning("workers did not leave their process group within %g s", LEAVE_S)


def join(config: ProcessGroup, host: str, port: int) -> None:
    """Join the group of all workers, of which rank 0 listens at an address. Sets the variables that torchrun sets.

    Raises `ClusterUnusable` where torch cannot use this worker's GPU: NCCL would say less of it.
    """
    from torch import distributed

    if config.backend == "nccl":
        from ganray.train.worker.process import check_gpu

        check_gpu()
        os.environ.setdefault("TORCH_NCCL_ASYNC_ERROR_HANDLING", "1")  # a collective that times out ends the process
    context = get_context()
    rank, world_size, timeout = context.get_world_rank(), context.get_world_size(), timedelta(seconds=config.timeout_s)
    of_node = {
        "LOCAL_RANK": context.get_local_rank(),
        "LOCAL_WORLD_SIZE": context.get_local_world_size(),
        "NODE_RANK": context.get_node_rank(),
    }
    of_group = {"RANK": rank, "WORLD_SIZE": world_size, "MASTER_ADDR": host, "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in (of_node | of_group).items()})
    store = None
    if ip_address(host).is_loopback:  # a Ray of this machine alone
        for name in INTERFACES:
            os.environ.setdefault(name, loopback_interface())
        store = private_store(host, port, rank, world_size, timeout)
    distributed.init_process_group(config.backend, store=store, rank=rank, world_size=world_size, timeout=timeout)


def private_store(host: str, port: int, rank: int, world_size: int, timeout: timedelta) -> Any:
    """Return the store by which ranks find one another, for which rank 0 listens at `host` alone: torch would on every interface."""
    from torch import distributed

    stores: Any = distributed
    listening = {"master_listen_fd": socket.create_server((host, port)).detach()} if rank == 0 else {}
    return stores.TCPStore(host, port, world_size, is_master=rank == 0, timeout=timeout, **listening)


def loopback_interface() -> str:
    """Return the name of this machine's loopback interface, as `lo`."""
    return next(name for _, name in socket.if_nameindex() if name.startswith("lo"))


def leave() -> None:
    """Leave the group."""
    from torch import distributed

    if distributed.is_initialized():
        distributed.destroy_process_group()
