"""A local Ray for its user alone: it listens on loopback, and wants a token that lies in a file which only this user reads.

By itself Ray would listen on every interface, and leave a token in the user's home, which every later `ray start` then wants. It would
also start processes of which such a Ray has no use, and wait for them: an autoscaler, a carrier of logs to the driver, and, where no
dashboard is asked for, a dashboard without pages.
"""

import contextlib
import importlib
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import ray
from ray._common.tls_utils import add_port_to_grpc_server
from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]  # compiled

TOKEN_FILE = "ray-token"
MODE, TOKEN, TOKEN_PATH = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"
LOOPBACK = "127.0.0.1"
UNUSED = ("start_monitor", "start_log_monitor")
CLUSTERS = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"  # Ray's switch, on Linux too, between interfaces for clusters and loopback


@contextlib.contextmanager
def private_ray(folder: Path, *, dashboard: bool = False) -> Iterator[None]:
    """Let a Ray that this process starts while the block runs be private, to it and its children; the token is kept in `folder`.

    A token, or RAY_AUTH_MODE=disabled, that is in the environment stays. Afterwards the environment is what it was.
    """
    chosen = TOKEN in os.environ or TOKEN_PATH in os.environ or os.environ.get(MODE, "token").lower() != "token"
    authentication = {} if chosen else {MODE: "token", TOKEN_PATH: str(_write_token(folder))}
    constants = ray._private.ray_constants
    clusters = constants.ENABLE_RAY_CLUSTER
    with _environment({CLUSTERS: "0", **authentication}), _without(*(UNUSED if dashboard else (*UNUSED, "start_api_server"))):
        constants.ENABLE_RAY_CLUSTER = False  # read from the environment when Ray was imported
        try:
            yield
        finally:
            constants.ENABLE_RAY_CLUSTER = clusters


def keep_replicas_private() -> None:
    """Let replicas of Ray Serve in this process listen on loopback, where their Ray is private; by themselves they do on every interface.

    To be called by a deployment's constructor, after which its replica begins to listen for calls of others.
    """
    if os.environ.get(CLUSTERS) == "0":
        replicas: Any = importlib.import_module("ray.serve._private.replica")
        replicas.add_port_to_grpc_server = lambda server, _: add_port_to_grpc_server(server, f"{LOOPBACK}:0")


@contextlib.contextmanager
def _without(*starts: str) -> Iterator[None]:
    """Have Ray's node leave out some of what it starts, while the block runs: its parameters do not offer that."""
    node: Any = ray._private.node.Node
    before = {name: getattr(node, name) for name in starts}
    for name in starts:
        setattr(node, name, lambda *_, **__: None)
    try:
        yield
    finally:
        for name, start in before.items():
            setattr(node, name, start)


def _write_token(folder: Path) -> Path:
    """Write a new token to a file that only this user may read, and return its path."""
    path = folder / TOKEN_FILE
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_hex(32))
    return path


@contextlib.contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables while the block runs; those of authentication are put back too if Ray has set them itself."""
    before = {name: os.environ.get(name) for name in {*variables, MODE}}
    os.environ.update(variables)
    reload_authentication()
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})
        reload_authentication()


def reload_authentication() -> None:
    """Let Ray read the mode of authentication and the token again, which it keeps."""
    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()
