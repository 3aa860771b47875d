"""Hostile clients of a server: requests that nobody should send, each with the status that answers it, and connections that send none."""

import asyncio
import contextlib
import json
import resource
import socket
import threading
from collections import Counter
from dataclasses import dataclass
from typing import Any

Address = tuple[str, int]
TIMEOUT_S, CONNECT_S = 20.0, 2.0
OWN_HANDLES = 500  # of the process that the clients are in
PAUSE_S = 0.05  # between the requests of a hostile client
MAX_READ = 1 << 20
HEADS = (b"", b"", b"", b"G", b"GET /samples?num=1 HTTP/1.1\r\nHost: x\r\nX-Slow: ")  # what idle connections send, in turn


@dataclass(frozen=True)
class Hostile:
    """A request as sent, and the status that it should be answered with. `is_ours` tells answers with field, problem and remedy."""

    data: bytes
    status: int
    is_ours: bool = True

    @classmethod
    def get(cls, target: str, status: int, *, method: str = "GET", headers: str = "", body: bytes = b"") -> "Hostile":
        """Return a request of HTTP/1.1 for a target."""
        head = f"{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n"
        return cls(head.encode("latin-1") + body, status)


REQUESTS = (
    *(Hostile.get(f"/samples?{query}", 400) for query in ("num=100000000000000000000", "num=257", "num=-1", "num=two", "num=", "num=1e3")),
    *(Hostile.get(f"/samples?{query}", 400) for query in ("seed=9223372036854775808", "start=-1", "truncation=inf", "truncation=-1e308")),
    *(Hostile.get(f"/samples?{query}", 400) for query in ("version=../0001", "version=..%2F..%2F0001", "version=%00", "format=../../x")),
    *(Hostile.get(f"/samples?{query}", 400) for query in ("class=%ff%fe", "class[]=1", "num=" + "9" * 9000, "x=" + "%41" * 5000)),
    *(Hostile.get(f"/samples?{query}", 404) for query in ("version=9999", "version=999999999999")),
    Hostile.get("/interpolation?from=0&to=1&num=100000", 400),
    Hostile.get("/direction?index=0&direction=1", 400),
    *(Hostile.get(path, 404) for path in ("/../../../etc/passwd", "/..%2f..%2fetc%2fpasswd", "/samples/%2e%2e/%2e%2e/x", "//x//", "/%00")),
    *(Hostile.get(path, 404) for path in ("/static-offline-docs/../../x", "/static-offline-docs/..%2f..%2f..%2fetc%2fpasswd")),
    *(Hostile.get("/samples", 405, method=method) for method in ("PUT", "DELETE", "PATCH")),
    Hostile.get("/samples", 413, method="POST", headers="Content-Length: 100000000\r\n", body=b"x" * 1000),
    Hostile.get("/samples", 413, method="POST", headers="Transfer-Encoding: chunked\r\n", body=b"5\r\nhello\r\n0\r\n\r\n"),
    Hostile.get("/samples", 431, headers="X-Large: " + "x" * (1 << 20)),
    Hostile(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500), 400, is_ours=False),  # the beginning of TLS
    Hostile(b"HELO mail\r\n\r\n", 400, is_ours=False),
    Hostile(b"GET /samples?num=1 HTTP/9.9\r\n\r\n", 400, is_ours=False),
)


async def attack(address: Address, over: asyncio.Event, first: int, seen: Counter[int], strange: list[str]) -> None:
    """Send the hostile requests one after another, from the one of a number on. What is answered otherwise is noted in `strange`."""
    number = first
    while not over.is_set():
        request = REQUESTS[number % len(REQUESTS)]
        status, content = await answer_to(address, request.data)
        seen[status] += 1
        if status != request.status or (request.is_ours and not is_error(content)):
            strange.append(f"{request.data[:80]!r} was answered {status} {content[:200]!r}")
        number += 1
        await asyncio.sleep(PAUSE_S)


async def answer_to(address: Address, data: bytes) -> tuple[int, bytes]:
    """Return status and content of the answer to what is sent on a connection of its own; status 0 if there is none."""
    try:
        reader, writer = await asyncio.wait_for(asyncio.open_connection(*address), TIMEOUT_S)
    except (OSError, TimeoutError):
        return 0, b""
    received = b""
    try:
        writer.write(data)
        with contextlib.suppress(ConnectionError, TimeoutError):
            while (part := await asyncio.wait_for(reader.read(MAX_READ), TIMEOUT_S)) and len(received) < MAX_READ:
                received += part
    finally:
        writer.transport.abort()
    head, _, content = received.partition(b"\r\n\r\n")
    words = head.split(maxsplit=2)
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else 0, content


def is_error(content: bytes) -> bool:
    """Return whether an answer says what is wrong, in JSON that is short."""
    with contextlib.suppress(ValueError):
        found: Any = json.loads(content)
        return isinstance(found, dict) and set(found) == {"field", "problem", "remedy"} and len(content) < 1000
    return False


class Idle(threading.Thread):
    """Makes connections one after another, and keeps them: they send nothing, or the beginning of a request."""

    def __init__(self, address: Address, num: int) -> None:
        super().__init__(daemon=True)
        self.address, self.num, self.refused = address, num, 0
        self.connections: list[socket.socket] = []
        self._over = threading.Event()
        allow_handles(num + OWN_HANDLES)

    def run(self) -> None:
        """Make all of them."""
        for number in range(self.num):
            if self._over.is_set():
                return
            try:
                self.connections.append(socket.create_connection(self.address, timeout=CONNECT_S))
                self.connections[-1].sendall(HEADS[number % len(HEADS)])
            except OSError:
                self.refused += 1

    def close(self) -> None:
        """Stop, and close all that were made."""
        self._over.set()
        self.join()
        for connection in self.connections:
            connection.close()


def allow_handles(wanted: int) -> None:
    """Let this process have a number of handles. Raises `SystemExit` where it may not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise SystemExit(f"that takes {wanted} handles, and this process may have {hard}: raise `ulimit -n`, or ask for fewer connections")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


def num_open(connections: list[socket.socket]) -> int:
    """Return how many connections the server has not closed."""
    found = 0
    for connection in connections:
        connection.setblocking(False)
        try:
            found += connection.recv(MAX_READ) != b""
        except BlockingIOError:
            found += 1
        except ConnectionError:
            pass
    return found
