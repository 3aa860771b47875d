"""What answers at an address, and a head that dies: known within seconds, in one line."""

import http.server
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
import pytest

from ganray.cluster import head
from ganray.cluster.head import METHOD, check_head, watched_head
from ganray.errors import ClusterError


@contextmanager
def listening() -> Iterator[str]:
    """Give the address of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@contextmanager
def web_server() -> Iterator[str]:
    """Give the address of a server that speaks HTTP/1, as a dashboard does."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@contextmanager
def grpc_server(status: grpc.StatusCode | None) -> Iterator[str]:
    """Give the address of a gRPC server that answers a head's method with a status, None: it has no such method."""

    def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
        if status != grpc.StatusCode.OK:
            context.abort(status, "refused")
        return b""

    server = grpc.server(ThreadPoolExecutor(1))
    if status:
        service, method = METHOD.strip("/").split("/")
        handler = grpc.method_handlers_generic_handler(service, {method: grpc.unary_unary_rpc_method_handler(answer)})
        server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None)


@pytest.mark.parametrize(
    ("serving", "says"),
    [
        (lambda: grpc_server(None), "is not the port of a head; use the head's, 6379 as a rule, or ray://"),
        (lambda: grpc_server(grpc.StatusCode.UNAUTHENTICATED), "wants its token, and this process has none or another; set RAY_AUTH_MODE"),
        (web_server, "is not the port of a head; use the head's, 6379 as a rule; the dashboard's"),
    ],
    ids=["Ray Client", "another token", "dashboard"],
)
def test_what_is_no_head_is_one_line_that_says_what_to_write(serving: object, says: str) -> None:
    start = time.monotonic()
    with serving() as address, pytest.raises(ClusterError, match=says) as refused:
        check_head(address, "RAY_ADDRESS")
    assert refused.value.field == "RAY_ADDRESS"
    assert time.monotonic() - start < 10


def test_the_address_of_a_dashboard_is_told_apart_without_a_look() -> None:
    with pytest.raises(ClusterError, match=r"'http://nowhere\.invalid:8265' is not the port of a head"):
        check_head("http://nowhere.invalid:8265", "--address")


def test_what_listens_and_never_answers_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(head, "CONNECT_TIMEOUT_S", 0.5)
    with listening() as address, pytest.raises((OSError, ClusterError)):
        check_head(address, "--address")


@pytest.mark.parametrize("address", ["auto", "local"])
def test_what_ray_finds_by_itself_is_left_to_it(address: str) -> None:
    check_head(address, "--address")


def test_a_head_that_answers_will_do() -> None:
    with grpc_server(grpc.StatusCode.OK) as address:
        check_head(address, "--address")


def test_a_head_that_dies_ends_what_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(head, "LOOK_EVERY_S", 0.05)
    monkeypatch.setattr(head, "REFUSED_S", 0.3)
    monkeypatch.delenv(head.RECONNECT_TIMEOUT, raising=False)
    server = socket.create_server(("127.0.0.1", 0))
    address = f"127.0.0.1:{server.getsockname()[1]}"
    server.close()
    with pytest.raises(ClusterError, match=r"the head of the Ray cluster at 'head:6379' died; .+ the same command goes on"):
        wait_with(address)


def wait_with(address: str) -> None:
    """Wait for long, as a call of Ray does."""
    with watched_head(address, "--address", "head:6379"):
        time.sleep(20)


def test_a_head_that_is_away_for_a_moment_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(head, "LOOK_EVERY_S", 0.05)
    monkeypatch.setattr(head, "REFUSED_S", 5.0)
    server = socket.create_server(("127.0.0.1", 0))
    port = server.getsockname()[1]
    with watched_head(f"127.0.0.1:{port}", "--address", "head:6379"):
        server.close()
        time.sleep(0.5)
        with socket.create_server(("127.0.0.1", port)):
            time.sleep(0.5)


def test_a_head_that_ray_is_told_to_wait_for_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(head, "LOOK_EVERY_S", 0.05)
    monkeypatch.setattr(head, "REFUSED_S", 0.1)
    monkeypatch.setenv(head.RECONNECT_TIMEOUT, "600")
    with watched_head("127.0.0.1:1", "--address", "head:6379"):
        time.sleep(0.5)


def test_a_process_that_cannot_be_interrupted_ends_with_the_one_line() -> None:
    script = """import signal, sys, time
from ganray.cluster import head
head.LOOK_EVERY_S, head.REFUSED_S, head.GRACE_S = 0.05, 0.2, 0.2
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
with head.watched_head("127.0.0.1:1", "--address", "head:6379"):
    time.sleep(20)"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 3
    assert done.stderr == ("error: --address: the head of the Ray cluster at 'head:6379' died; start it again; the same command goes on\n")


def test_other_errors_pass_as_they_are() -> None:
    with listening() as address, pytest.raises(KeyError), watched_head(address, "--address", "head:6379"):
        raise KeyError
