"""A proxy on loopback that does to requests what networks and servers do: resets, refusals, cuts, flipped bytes, silence."""

import http.client
import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

PIECE = 1 << 16
UPSTREAM_S = 120.0
REFUSALS = {"500": (500, "InternalError"), "503": (503, "ServiceUnavailable"), "slow down": (503, "SlowDown")}
ALL = ("reset before", "reset within", "lost answer", *REFUSALS, "truncated", "flipped up", "flipped down", "silence", "throttled")


class Faults:
    """Which request meets which fault: one in `one_in`, drawn from `kinds` by a seed, and not more than `most`. Counts what was done."""

    def __init__(self, *, one_in: float, seed: int, kinds: tuple[str, ...] = ALL, silence_s: float = 1.5, most: int = 1 << 60) -> None:
        self.one_in, self.kinds, self.silence_s, self.most = one_in, kinds, silence_s, most
        self.random, self.lock = random.Random(seed), threading.Lock()
        self.requests, self.injected = 0, Counter()

    def draw(self, *, sends: int, is_read: bool) -> str | None:
        """Return the fault of a request that sends so many bytes, or reads an object, None for most."""
        with self.lock:
            self.requests += 1
            if self.injected.total() >= self.most or self.random.random() * self.one_in >= 1:
                return None
            kind = self.random.choice(self.kinds)
            impossible = (kind in ("flipped up", "reset within") and not sends) or (kind in ("flipped down", "truncated") and not is_read)
            if impossible:
                return None
            self.injected[kind] += 1
            return kind


@contextmanager
def faulty_way_to(url: str, faults: Faults) -> Iterator[str]:
    """Give the URL of a proxy to a server. Its clients sign for the proxy's own address, which it passes on."""

    class Handler(_Handler):
        upstream, plan = urlsplit(url), faults

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    upstream: object
    plan: Faults

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def pass_on(self) -> None:
        """Serve one request, with the fault that is drawn for it."""
        sends = int(self.headers.get("Content-Length") or 0)
        self.fault = self.plan.draw(
            sends=sends, is_read=self.command == "GET" and "list-type" not in self.path and "uploads" not in self.path
        )
        if self.fault == "silence":
            time.sleep(self.plan.silence_s)
        if self.fault == "reset before":
            self._reset()
        elif self.fault in REFUSALS:
            self._refuse(*REFUSALS[self.fault], sends)
        else:
            with suppress(OSError, http.client.HTTPException):
                self._forward(sends)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = pass_on  # noqa: N815

    def _forward(self, sends: int) -> None:
        connection = http.client.HTTPConnection(self.upstream.hostname, self.upstream.port, timeout=UPSTREAM_S)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in ("expect", "connection"):
                    connection.putheader(name, value)
            connection.endheaders()
            if self._send_body(connection, sends):
                self._answer(connection.getresponse())
        finally:
            connection.close()

    def _send_body(self, connection: http.client.HTTPConnection, sends: int) -> bool:
        """Pass a request's body on, and return whether all of it went."""
        flip_at = self.plan.random.randrange(sends) if self.fault == "flipped up" else -1
        done = 0
        while done < sends:
            piece = bytearray(self.rfile.read(min(PIECE, sends - done)))
            if not piece:
                self.close_connection = True
                return False
            if 0 <= flip_at - done < len(piece):
                piece[flip_at - done] ^= 0x10
            if self.fault == "reset within" and done + len(piece) > sends // 2:
                self._reset()
                return False
            if self.fault == "throttled":
                time.sleep(0.01)
            connection.send(piece)
            done += len(piece)
        return True

    def _answer(self, response: http.client.HTTPResponse) -> None:
        body = response.read()
        if self.fault == "lost answer":
            self._reset()
            return
        if self.fault == "flipped down" and body and response.status < 300:
            body = bytearray(body)
            body[self.plan.random.randrange(len(body))] ^= 0x10
        self.send_response_only(response.status, response.reason)
        for name, value in response.getheaders():
            if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                self.send_header(name, value)
        self.send_header("Content-Length", response.getheader("Content-Length") or str(len(body)))
        self.end_headers()
        if self.fault == "truncated":
            self.wfile.write(body[: len(body) // 2])
            self._reset()
            return
        for start in range(0, len(body), PIECE):
            if self.fault == "throttled":
                time.sleep(0.01)
            self.wfile.write(body[start : start + PIECE])

    def _refuse(self, status: int, code: str, sends: int) -> None:
        self.rfile.read(sends)
        body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>said the proxy</Message></Error>".encode()
        self.send_response_only(status)
        self.send_header("Content-Length", str(0 if self.command == "HEAD" else len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _reset(self) -> None:
        """Break the connection as a crashed host does, by RST."""
        self.close_connection = True
        with suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
