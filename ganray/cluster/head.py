"""The head of a Ray cluster: whether one answers at an address, and whether it still does while a driver uses it."""

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator

import grpc
from ray._private.grpc_utils import init_grpc_channel

from ganray.errors import ClusterError

CONNECT_TIMEOUT_S = 5.0
LOOK_EVERY_S = 1.0
REFUSED_S, SILENT_S = 8.0, 40.0  # after which a head counts as dead, where its machine refuses connections, and where nothing answers
GRACE_S = 3.0  # for a driver to end by itself once its head is dead
RECONNECT_TIMEOUT = "RAY_gcs_rpc_server_reconnect_timeout_s"  # Ray's own setting, for heads that come back, wins
METHOD = "/ray.rpc.NodeInfoGcsService/GetClusterId"
REFUSALS = {
    grpc.StatusCode.UNAUTHENTICATED: (
        "wants its token, and this process has none or another",
        "set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH to the cluster's",
    ),
    grpc.StatusCode.UNIMPLEMENTED: ("is not the port of a head", "use the head's, 6379 as a rule, or ray://host:10001 for Ray Client"),
    grpc.StatusCode.UNAVAILABLE: (
        "is not the port of a head",
        "use the head's, 6379 as a rule; the dashboard's is for `ray job submit`",
    ),
}


class TokenWanted(ClusterError):
    """The head wants a token that this process has not sent."""


def check_head(address: str, field: str) -> None:
    """Raise an error within seconds unless a head answers at `host:port`; Ray itself would try for minutes. Others are Ray's to judge.

    It is an `OSError` if nothing listens there, `TokenWanted` if the head wants one that this process does not send, and another
    `ClusterError` for `field` if that is no head.
    """
    scheme, _, place = address.rpartition("://")
    host, colon, port = place.rpartition(":")
    if scheme in ("http", "https"):
        raise refusal(field, address, grpc.StatusCode.UNAVAILABLE)
    if not colon:
        return
    socket.create_connection((host.strip("[]"), port), timeout=CONNECT_TIMEOUT_S).close()
    if scheme:
        return
    with init_grpc_channel(place) as channel:
        try:
            channel.unary_unary(METHOD)(b"", timeout=CONNECT_TIMEOUT_S)
        except grpc.RpcError as error:
            if error.code() in REFUSALS:
                raise refusal(field, address, error.code()) from None
            raise OSError(error.details()) from error


def refusal(field: str, address: str, code: grpc.StatusCode) -> ClusterError:
    """Return the error for an address at which a call ended with a code of `REFUSALS`."""
    problem, remedy = REFUSALS[code]
    kind = TokenWanted if code == grpc.StatusCode.UNAUTHENTICATED else ClusterError
    return kind(field, f"{address!r} {problem}", remedy)


@contextlib.contextmanager
def watched_head(place: str, field: str, address: str) -> Iterator[None]:
    """Raise `ClusterError` for `field` in the block once the head at `host:port` has died; only in the main thread.

    `address` is what the user calls the cluster.

    Calls of Ray would wait for a minute then, after which Ray ends the process with messages of its own. If one cannot be interrupted,
    the process ends here, with the one line of the error.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    error = ClusterError(field, f"the head of the Ray cluster at {address!r} died", "start it again; the same command goes on")
    watch, before = HeadWatch(place, error), signal.signal(signal.SIGUSR2, signal.default_int_handler)
    watch.start()
    try:
        yield
    except BaseException as met:
        if not watch.is_dead and watch.patience_s() is None:
            raise
        raise error from met
    finally:
        watch.closed.set()
        watch.join()
        signal.signal(signal.SIGUSR2, before)


class HeadWatch(threading.Thread):
    """Interrupts the main thread once nothing has listened at a head's address for a while, and ends a process that cannot be."""

    def __init__(self, place: str, error: ClusterError) -> None:
        super().__init__(name="head watch", daemon=True)
        host, _, port = place.rpartition(":")
        self.place, self.error = (host.strip("[]"), int(port)), error
        self.is_dead, self.closed = False, threading.Event()

    def run(self) -> None:
        """Look until this is closed or the head is dead."""
        heard = time.monotonic()
        while not self.is_dead and not self.closed.wait(LOOK_EVERY_S):
            patience_s = self.patience_s()
            if patience_s is None:
                heard = time.monotonic()
            else:
                self.is_dead = time.monotonic() - heard > patience_s
        if self.is_dead and not self.closed.is_set():
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR2)
            if not self.closed.wait(GRACE_S):
                show_cursor = "\x1b[?25h" if os.isatty(2) else ""
                os.write(2, f"{show_cursor}error: {self.error}\n".encode())
                os._exit(self.error.exit_code)

    def patience_s(self) -> float | None:
        """Return how long to wait for a head that does not answer now, None if it does."""
        try:
            socket.create_connection(self.place, timeout=LOOK_EVERY_S).close()
        except ConnectionRefusedError:
            return float(os.environ.get(RECONNECT_TIMEOUT, REFUSED_S))
        except OSError:
            return float(os.environ.get(RECONNECT_TIMEOUT, SILENT_S))
        return None
