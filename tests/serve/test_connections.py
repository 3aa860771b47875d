"""Connections that keep a server waiting are closed, those of clients that ask are not; run by uvicorn as Ray Serve's proxies run it."""

import asyncio
import contextlib
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI

from ganray.serve import connections
from ganray.serve.connections import CALLBACK, MAX_HEAD_BYTES, LimitedProtocol, Waiting, haproxy_limits, max_waiting

ASK = b"GET /?n=1 HTTP/1.1\r\nHost: x\r\n\r\n"
KEEP_ALIVE_S = 1


@pytest.fixture
def protocol() -> type[LimitedProtocol]:
    """A protocol of few connections and short times."""
    return type("Limited", (LimitedProtocol,), {"new": Waiting(4), "used": Waiting(4), "head_s": 0.5})


@pytest.fixture
def address(protocol: type[LimitedProtocol]) -> Iterator[tuple[str, int]]:
    """The address of a server whose connections are of the protocol."""
    app = FastAPI()

    @app.get("/")
    async def get_number(n: int, wait_s: float = 0) -> int:
        await asyncio.sleep(wait_s)
        return n

    config = uvicorn.Config(app, http=protocol, lifespan="off", log_config=None, timeout_keep_alive=KEEP_ALIVE_S)  # type: ignore[arg-type]
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(config)
        thread = threading.Thread(target=lambda: asyncio.run(server.serve([listening])))
        thread.start()
        try:
            yield listening.getsockname()
        finally:
            server.should_exit = True
            thread.join()


@contextlib.contextmanager
def connected(address: tuple[str, int], num: int = 1) -> Iterator[list[socket.socket]]:
    """Give a number of connections, which are made one after another."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(socket.create_connection(address, timeout=10)) for _ in range(num)]


def answered(connection: socket.socket) -> tuple[int, Any]:
    """Return the status and the content of an answer."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        assert byte, "no answer"
        head += byte
    length = next(int(line.split(b":")[1]) for line in head.lower().splitlines() if line.startswith(b"content-length"))
    return int(head.split()[1]), json.loads(connection.recv(length, socket.MSG_WAITALL))


def ask(connection: socket.socket, request: bytes = ASK) -> tuple[int, Any]:
    connection.sendall(request)
    return answered(connection)


def is_closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True


def test_a_connection_that_sends_nothing_is_closed_after_a_while(address: tuple[str, int], protocol: type[LimitedProtocol]) -> None:
    with connected(address) as (silent,):
        began = time.monotonic()
        assert is_closed(silent)
        assert 0.4 < time.monotonic() - began < 5
    assert len(protocol.new) == 0


def test_a_head_that_comes_byte_by_byte_has_no_longer(address: tuple[str, int]) -> None:
    with connected(address) as (slow,), contextlib.suppress(ConnectionError):
        began = time.monotonic()
        for number in range(200):
            slow.sendall(ASK[number % len(ASK) : number % len(ASK) + 1] if number < 20 else b"x")
            time.sleep(0.02)
        raise AssertionError("it was not closed")
    assert time.monotonic() - began < 3


def test_a_request_may_take_longer_and_its_connection_waits_for_another(address: tuple[str, int]) -> None:
    with connected(address) as (client,):
        assert ask(client, b"GET /?n=5&wait_s=1 HTTP/1.1\r\nHost: x\r\n\r\n") == (200, 5)
        time.sleep(0.7)  # longer than for a head, and less than a connection is kept alive
        assert ask(client) == (200, 1)
        assert ask(client, ASK + ASK) == (200, 1)
        assert answered(client) == (200, 1)
        assert is_closed(client), "in the end it is, too"


def test_of_too_many_connections_the_oldest_is_closed_and_clients_are_answered(
    address: tuple[str, int], protocol: type[LimitedProtocol]
) -> None:
    protocol.head_s = 30.0
    with connected(address, 12) as silent, connected(address) as (client,):
        assert ask(client) == (200, 1)
        assert all(is_closed(connection) for connection in silent[:8])
        assert len(protocol.new) <= 4
        assert ask(client) == (200, 1)
        assert ask(silent[-1]) == (200, 1)


def test_connections_that_were_used_do_not_count_against_new_ones(address: tuple[str, int], protocol: type[LimitedProtocol]) -> None:
    protocol.head_s = 30.0
    with connected(address, 3) as clients:
        assert [ask(client) for client in clients] == [(200, 1)] * 3
        with connected(address, 12):
            assert [ask(client) for client in clients] == [(200, 1)] * 3
    with contextlib.ExitStack() as stack:
        used: list[socket.socket] = []
        for _ in range(7):
            used += stack.enter_context(connected(address))
            assert ask(used[-1]) == (200, 1)
        assert all(is_closed(client) for client in used[:3]), "of these there are not too many, either"


def test_a_head_that_is_too_large_is_refused_and_a_large_body_is_not(address: tuple[str, int]) -> None:
    with connected(address) as (client,):
        status, error = ask(client, b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * (MAX_HEAD_BYTES + 1))
        assert (status, error["field"], error["problem"]) == (431, "request", "expected a head of at most 65536 bytes")
    with connected(address) as (client,):
        length = 3 * MAX_HEAD_BYTES
        head = b"GET /?n=3 HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % length
        assert ask(client, head + b"x" * length) == (200, 3)


def test_no_more_connections_wait_than_there_are_handles_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for handles, expected in ((1024, 256), (1 << 20, 1000), (-1, 1000)):
        fake = SimpleNamespace(getrlimit=lambda _, handles=handles: (handles, handles), RLIMIT_NOFILE=7, RLIM_INFINITY=-1)
        monkeypatch.setattr(connections, "resource", fake)
        assert max_waiting(1000) == expected


def test_haproxy_is_given_no_more_connections_than_it_may_have_handles_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for handles, expected in ((4096, "1365"), (1 << 20, "20000"), (-1, "20000")):
        fake = SimpleNamespace(getrlimit=lambda _, handles=handles: (1024, handles), RLIMIT_NOFILE=7, RLIM_INFINITY=-1)
        monkeypatch.setattr(connections, "resource", fake)
        assert haproxy_limits() == {"RAY_SERVE_HAPROXY_TIMEOUT_CLIENT_S": "20", "RAY_SERVE_HAPROXY_MAXCONN": expected}


def test_what_the_variable_names_has_uvicorn_limit_its_connections() -> None:
    script = f"""
import uvicorn
from ray._common.utils import import_attr
assert import_attr({CALLBACK!r})() == []
config = uvicorn.Config(None)
config.load_app = lambda: None
config.load()
print(config.http_protocol_class.__name__)
"""
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout == "LimitedProtocol\n"
