"""`ganray serve`: the artifact is checked, Ray Serve started, and the application runs until it is interrupted."""

import contextlib
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator

from ray import serve
from ray.serve.config import ProxyLocation
from ray.serve.schema import LoggingConfig

from ganray.cluster.gpus import check_replicas
from ganray.cluster.session import own_local_ray, ray_session
from ganray.errors import ClusterError, ConfigError
from ganray.registry.artifact import build_checked, open_artifact, read_artifact
from ganray.serve.application import application
from ganray.serve.connections import CALLBACK, VARIABLE, haproxy_limits
from ganray.serve.settings import Settings

NAME = "ganray"  # of the application
LOGGING = LoggingConfig(log_level="WARNING", enable_access_log=False)
REQUEST_TIMEOUT_S = 120.0


def serve_until_interrupted(
    settings: Settings, *, address: str | None = None, host: str = "127.0.0.1", port: int = 8000, ready: Callable[[str], None]
) -> None:
    """Serve a published generator over HTTP, call `ready` with the URL, and go on until the process is interrupted.

    With neither `address` nor RAY_ADDRESS, on a local Ray; else on a cluster, each node of which answers at `host` and `port`, and from
    which the application is removed in the end. Port 0 is any free one of this machine. Raises `ArtifactError` for an artifact that is
    missing, damaged or not signed, `ConfigError` for a port that is taken or GPUs that are not there, and `ClusterError` if the cluster
    cannot run it.
    """
    store = open_artifact(settings.artifact)
    _, files = read_artifact(store, public_key=settings.public_key)
    build_checked(files, where=store.uri)
    is_local = own_local_ray(address)
    port = _free_port(host, port) if is_local or port == 0 else port
    if is_local:  # or else where the cluster's nodes were started
        for name, value in {VARIABLE: CALLBACK, **haproxy_limits()}.items():
            os.environ.setdefault(name, value)
    with ray_session(address), _quiet():
        if settings.use_gpu:
            check_replicas(settings.min_replicas)
        try:
            serve.start(
                proxy_location=ProxyLocation.HeadOnly if is_local else ProxyLocation.EveryNode,
                http_options={"host": host, "port": port, "request_timeout_s": REQUEST_TIMEOUT_S},
                logging_config=LOGGING,
            )
            serve.run(application(settings), name=NAME, route_prefix="/", logging_config=LOGGING)
            ready(f"http://{host}:{port}/")
            threading.Event().wait()
        except RuntimeError as error:
            problem = f"the application did not start ({str(getattr(error, 'cause', error)).splitlines()[0]})"
            raise ClusterError("--address", problem, "see the logs of Ray Serve in the session's folder") from error
        finally:
            with contextlib.suppress(Exception):  # an end that fails must not hide why it ends
                serve.shutdown() if is_local else serve.delete(NAME)


def _free_port(host: str, port: int) -> int:
    """Return a port that can be listened at: `port`, or any for 0. Raises `ConfigError` if it is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            problem = f"cannot listen at {host}:{port} ({(error.strerror or str(error)).lower()})"
            raise ConfigError("--port", problem, "name another --port or --host") from None
        found: int = probe.getsockname()[1]
        return found


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Ray Serve from logging its progress to the terminal."""
    logger = logging.getLogger("ray.serve")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
