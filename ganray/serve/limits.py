"""Limits of a public server: a token bucket for each client, and the size of a request's body."""

import math
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.responses import JSONResponse

MAX_CLIENTS = 10_000  # that are remembered; the one that was silent the longest is forgotten
BURST_S = 10.0  # of the rate that a client may use at once
MAX_BODY_BYTES = 64 << 10

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class RateLimit:
    """Token buckets by client: `rate` tokens a second, saved up for `BURST_S`. A rate of 0 is no limit."""

    def __init__(self, rate: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._clock = rate, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens, and when they were counted

    def wait_s(self, client: str, tokens: float) -> float:
        """Take a client's tokens and return 0; or, if there are too few, take none and return in how many seconds there will be enough.

        A request for more than the bucket holds passes when it is full, and leaves it in debt.
        """
        if not self._rate:
            return 0.0
        now, capacity = self._clock(), self._rate * BURST_S
        left, since = self._buckets.pop(client, (capacity, now))
        left = min(left + (now - since) * self._rate, capacity)
        missing = min(tokens, capacity) - left
        self._buckets[client] = (left - tokens if missing <= 0 else left, now)
        if len(self._buckets) > MAX_CLIENTS:
            self._buckets.popitem(last=False)
        return max(missing / self._rate, 0.0)


class BodyLimit:
    """ASGI middleware that refuses a request with a body, by its headers, before any of it is read."""

    def __init__(self, app: Application, max_bytes: int = MAX_BODY_BYTES) -> None:
        self._app, self._max_bytes = app, max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer 413."""
        headers = dict(scope.get("headers", ()))
        length = headers.get(b"content-length", b"0")
        is_large = b"transfer-encoding" in headers or not length.isdigit() or int(length[:20]) > self._max_bytes
        if scope["type"] == "http" and is_large:
            answer = error_response(413, "body", f"expected at most {self._max_bytes} bytes", "use GET, with parameters in the URL")
            await answer(scope, receive, send)
            return
        await self._app(scope, receive, send)


def error_response(status: int, field: str, problem: str, remedy: str, *, retry_after_s: float | None = None) -> JSONResponse:
    """Return an error as every endpoint gives it."""
    headers = {"Retry-After": str(math.ceil(retry_after_s))} if retry_after_s is not None else {}
    return JSONResponse({"field": field, "problem": problem, "remedy": remedy}, status, headers)
