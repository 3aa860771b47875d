"""Connecting to Ray: the cluster of an address, the one that this process runs in, or a local one of its own."""

import contextlib
import logging
import os
import socket
from collections.abc import Iterator

import ray

from ganray.errors import ClusterError

SETTINGS = {
    "RAY_TRAIN_V2_ENABLED": "1",
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.1",  # `ray.train.report` waits up to this long; Ray's default is 2 s
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # a task without a GPU does not hide it from others of its process
}
CONNECT_TIMEOUT_S = 5.0


@contextlib.contextmanager
def ray_session(address: str | None = None, *, dashboard: bool = False) -> Iterator[None]:
    """Connect to Ray while the block runs.

    `address` wins over `RAY_ADDRESS`; with neither, a local Ray is started, with a dashboard if that is asked for, and stopped
    again. An existing connection is used and left open. Raises `ClusterError` if no cluster answers at the address.
    """
    if ray.is_initialized():
        yield
        return
    use_settings()
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    try:
        _check_reachable(address)
        _connect(address, dashboard=dashboard)
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ClusterError(
            "--address", f"no Ray cluster answers at {address!r} ({reason})", "start one (`ray start --head`) or leave it out"
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def use_settings() -> None:
    """Set the environment variables of `SETTINGS` in this process and its children, unless they are set."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)


def own_local_ray(address: str | None = None) -> bool:
    """Return whether `ray_session(address)` would start a Ray of its own on this machine."""
    return not ray.is_initialized() and (address or os.environ.get("RAY_ADDRESS") or "local") == "local"


def _check_reachable(address: str) -> None:
    """Raise `OSError` within seconds if nothing listens at `host:port`; Ray itself would try for minutes."""
    host, colon, port = address.rpartition("://")[2].rpartition(":")
    if colon:
        socket.create_connection((host.strip("[]"), port), timeout=CONNECT_TIMEOUT_S).close()


def _connect(address: str, *, dashboard: bool) -> None:
    starts_ray = address == "local"
    ray.init(address=address, include_dashboard=dashboard if starts_ray else None, log_to_driver=False, logging_level=logging.ERROR)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    for noisy in ("ray.data", "ray.data._internal.progress", "ray.train"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
