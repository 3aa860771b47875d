"""Connecting to Ray: the cluster of an address, the one that this process runs in, or a local one of its own."""

import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import ray
from ray._private.authentication.authentication_token_setup import maybe_enable_token_auth_if_token_available
from ray.exceptions import AuthenticationError

from ganray.cluster.head import TokenWanted, check_head, refusal, watched_head
from ganray.cluster.private_ray import private_ray
from ganray.cluster.scratch import mark_session, scratch_folder
from ganray.cluster.signals import interrupt_on_signal
from ganray.errors import ClusterError

SETTINGS = {
    "RAY_TRAIN_V2_ENABLED": "1",
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.1",  # `ray.train.report` waits up to this long; Ray's default is 2 s
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",  # the driver watches for nodes that leave: see train/moves.py
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # a task without a GPU does not hide it from others of its process
}
BACKEND_LOG_LEVEL = "RAY_BACKEND_LOG_LEVEL"
LOCAL = "local"  # the address of a Ray that is started for this process


@contextlib.contextmanager
def ray_session(address: str | None = None, *, dashboard: bool = False) -> Iterator[None]:
    """Connect to Ray while the block runs.

    `address` wins over `RAY_ADDRESS`; with neither, a local Ray is started, private to this process, with a dashboard if that is
    asked for, and stopped again. An existing connection is used and left open. Meanwhile, SIGTERM and SIGHUP interrupt, as Ctrl-C
    does. Raises `ClusterError` if no cluster answers at the address, if it wants another token, and in the block if its head dies.
    """
    with contextlib.ExitStack() as stack:
        if not ray.is_initialized():
            stack.enter_context(_connection(address, dashboard=dashboard))
        stack.enter_context(interrupt_on_signal())
        yield


@contextlib.contextmanager
def _connection(address: str | None, *, dashboard: bool) -> Iterator[None]:
    use_settings()
    field = "--address" if address else "RAY_ADDRESS"
    address = address or os.environ.get("RAY_ADDRESS") or LOCAL
    with scratch_folder("session") as scratch, _private(address, Path(scratch), dashboard=dashboard), interrupt_on_signal():
        try:
            if address != LOCAL:
                find_head(address, field)
            with contextlib.nullcontext() if address == LOCAL else _without_backend_log():
                _connect(address, dashboard=dashboard)
        except AuthenticationError:
            raise refusal(field, address, grpc.StatusCode.UNAUTHENTICATED) from None
        except (OSError, ValueError, RuntimeError) as error:
            raise _no_cluster(field, address, error) from error
        except SystemExit:  # by Ray's own handler of SIGTERM
            ray.shutdown()
            raise KeyboardInterrupt from None
        if address == LOCAL:
            node: Any = ray._private.worker._global_node
            mark_session(scratch, Path(node.get_session_dir_path()).name)
        is_watched = address != LOCAL and not address.startswith("ray://")
        head = watched_head(ray.get_runtime_context().gcs_address, field, address) if is_watched else contextlib.nullcontext()
        with head, without_ray_messages():
            try:
                yield
            finally:
                ray.shutdown()


def _private(address: str, folder: Path, *, dashboard: bool) -> contextlib.AbstractContextManager[None]:
    """Return the context in which Ray starts: for a local one, `private_ray`."""
    return private_ray(folder, dashboard=dashboard) if address == LOCAL else contextlib.nullcontext()


def _no_cluster(field: str, address: str, error: Exception) -> ClusterError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    remedy = "start one (`ray start --head`) or " + ("leave it out" if field == "--address" else "unset it")
    return ClusterError(field, f"no Ray cluster answers at {address!r} ({reason})", remedy)


def use_settings() -> None:
    """Set the environment variables of `SETTINGS` in this process and its children, unless they are set."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)


def own_local_ray(address: str | None = None) -> bool:
    """Return whether `ray_session(address)` would start a Ray of its own on this machine."""
    return not ray.is_initialized() and (address or os.environ.get("RAY_ADDRESS") or LOCAL) == LOCAL


def find_head(address: str, field: str) -> None:
    """Check the head of a cluster, with the token of Ray's usual places if it wants one, unless RAY_AUTH_MODE says whether to send it.

    A process that sends a token also wants one: workers of a cluster that has none could not reach it.
    """
    logging.getLogger("ray").setLevel(logging.ERROR)
    if address.startswith("ray://"):  # Ray Client, which cannot be asked
        maybe_enable_token_auth_if_token_available(warn_if_disabled=False)
    try:
        check_head(address, field)
    except TokenWanted:
        maybe_enable_token_auth_if_token_available(warn_if_disabled=False)
        check_head(address, field)


@contextlib.contextmanager
def without_ray_messages() -> Iterator[None]:
    """Have Ray print nothing of the cluster, as of a node that died with the end of its log: it would to standard output, amid results."""
    worker: Any = ray._private.worker
    before, worker._worker_logs_enabled = worker._worker_logs_enabled, False
    try:
        yield
    finally:
        worker._worker_logs_enabled = before


@contextlib.contextmanager
def _without_backend_log() -> Iterator[None]:
    """Have Ray's C++ part print nothing of what the head does from now on, which `watched_head` says, nor that it prints nothing."""
    is_ours = BACKEND_LOG_LEVEL not in os.environ
    os.environ.setdefault(BACKEND_LOG_LEVEL, "fatal")  # read where Ray connects
    stderr, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(null)
        if is_ours:
            del os.environ[BACKEND_LOG_LEVEL]


def _connect(address: str, *, dashboard: bool) -> None:
    starts_ray = address == LOCAL
    ray.init(address=address, include_dashboard=dashboard if starts_ray else None, log_to_driver=False, logging_level=logging.ERROR)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # would print the tracebacks of what is raised as well
    for noisy in ("ray.data._internal.progress", "ray.train"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
