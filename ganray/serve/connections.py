"""Limits of the connections of Ray Serve's proxies, whose server, uvicorn, has none: those that send nothing, or never end the head of a
request, would stay for ever, until there are no handles for other clients; and the head of a request may have any size.

A proxy calls `middlewares`, which the environment variable `VARIABLE` names, before its server starts; there is no other place for it.
HAProxy, which Ray Serve runs in place of its own proxies where `HAPROXY` says so, has limits, but lenient ones by Ray's defaults.
"""

import asyncio
import resource
from http import HTTPStatus
from typing import TYPE_CHECKING, ClassVar

import uvicorn.config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ganray.serve.limits import error_response

if TYPE_CHECKING:
    from starlette.middleware import Middleware

VARIABLE = "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH"
CALLBACK = f"{__name__}.middlewares"
HAPROXY = "RAY_SERVE_ENABLE_HA_PROXY"  # 1: a node's proxy is HAProxy, which has limits of its own
HEAD_S = 20.0  # for the head of a request, from when its connection was made or used last
MAX_HEAD_BYTES = 64 << 10
MAX_NEW = 1024  # connections that have not sent the head of a request
OF_HANDLES = 4  # a part of the handles that a process may have, which are left to connections in wait; else they are too few
HAPROXY_CONNECTIONS = 20_000
HAPROXY_HANDLES = 3  # a connection, which it wants to be sure of when it starts


class Waiting:
    """Connections that no request is under way on, the oldest first. Beyond a limit the oldest is closed."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._connections: dict[LimitedProtocol, None] = {}  # an ordered set

    def __len__(self) -> int:
        return len(self._connections)

    def add(self, connection: "LimitedProtocol") -> None:
        """Add a connection, which may close another."""
        self._connections[connection] = None
        if len(self._connections) > self.limit:
            next(iter(self._connections)).close()

    def discard(self, connection: "LimitedProtocol") -> None:
        """Remove a connection, if it is there."""
        self._connections.pop(connection, None)


def max_waiting(limit: int) -> int:
    """Return how many connections may wait at most: `limit`, or fewer where a process may have few handles."""
    handles, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return limit if handles == resource.RLIM_INFINITY else min(limit, handles // OF_HANDLES)


class LimitedProtocol(HttpToolsProtocol):
    """A connection that is closed where it keeps its proxy waiting for a request, or sends a head of more than `MAX_HEAD_BYTES`."""

    new: ClassVar = Waiting(max_waiting(MAX_NEW))
    used: ClassVar = Waiting(max_waiting(1 << 20))  # answered, and kept alive
    head_s: ClassVar = HEAD_S
    _deadline: asyncio.TimerHandle | None = None
    _is_in_head = False
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Wait for the head of the first request."""
        super().connection_made(transport)
        self._wait(self.new, self.head_s)

    def data_received(self, data: bytes) -> None:
        """Take what has come, and close the connection if the head of a request is too large."""
        super().data_received(data)
        self._head_bytes = self._head_bytes + len(data) if self._is_in_head else 0
        if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.transport.write(_too_large())
            self.transport.close()

    def on_message_begin(self) -> None:
        """Begin the head of a request."""
        self._is_in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Begin a request."""
        self._is_in_head = False
        self._go_on()
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """Wait for the head of another request, unless it is there."""
        super().on_response_complete()
        if self.timeout_keep_alive_task:
            self._wait(self.used, self.timeout_keep_alive + self.head_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._go_on()
        super().connection_lost(exc)

    def close(self) -> None:
        """Close a connection that waits."""
        self._go_on()
        self.transport.close()

    def _wait(self, waiting: Waiting, seconds: float) -> None:
        self._go_on()
        self._deadline = self.loop.call_later(seconds, self.close)
        waiting.add(self)

    def _go_on(self) -> None:
        if self._deadline:
            self._deadline.cancel()
            self._deadline = None
        self.new.discard(self)
        self.used.discard(self)


def middlewares() -> "list[Middleware]":
    """Have uvicorn use `LimitedProtocol` in this process from now on, and return that a proxy needs no middlewares."""
    uvicorn.config.HTTP_PROTOCOLS["auto"] = f"{__name__}:{LimitedProtocol.__name__}"
    return []


def haproxy_limits() -> dict[str, str]:
    """Return the environment variables that limit HAProxy's connections: how long a client may send nothing, and how many there may be."""
    _, handles = resource.getrlimit(resource.RLIMIT_NOFILE)  # HAProxy takes all that it may
    limit = HAPROXY_CONNECTIONS if handles == resource.RLIM_INFINITY else min(HAPROXY_CONNECTIONS, handles // HAPROXY_HANDLES)
    return {"RAY_SERVE_HAPROXY_TIMEOUT_CLIENT_S": f"{HEAD_S:.0f}", "RAY_SERVE_HAPROXY_MAXCONN": str(limit)}


def _too_large() -> bytes:
    """Return the answer to a head that is too large, as HTTP/1.1 has it."""
    status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
    answer = error_response(status, "request", f"expected a head of at most {MAX_HEAD_BYTES} bytes", "use fewer and shorter headers")
    lines = [
        f"HTTP/1.1 {status.value} {status.phrase}".encode(),
        b"connection: close",
        *(b": ".join(header) for header in answer.raw_headers),
    ]
    return b"\r\n".join([*lines, b"", bytes(answer.body)])
