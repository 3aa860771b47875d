"""The HTTP interface of a served model in this process, without Ray Serve."""

import asyncio
import time
from dataclasses import dataclass, field

from starlette.testclient import TestClient

from ganray.modalities.codec import Samples
from ganray.serve.engine import Piece, run_pieces
from ganray.serve.http import Service, create_app
from ganray.serve.limits import RateLimit
from ganray.serve.metrics import Collector, Observations
from ganray.serve.versions import Versions


@dataclass
class LocalServer:
    """A server of an artifact, and the pieces that its generator was asked for."""

    versions: Versions
    max_num: int = 256
    rate: float = 0.0
    pieces: list[Piece] = field(default_factory=list)
    observed: Observations = field(default_factory=lambda: Observations("a", "0001"))

    async def sample(self, piece: Piece) -> Samples:
        """Return the samples of a piece."""
        self.pieces.append(piece)
        return (await asyncio.to_thread(run_pieces, [piece]))[0]

    async def metrics(self) -> bytes:
        """Return the metrics of all requests so far."""
        collector = Collector()
        collector.report(self.observed)
        return collector.render()

    def client(self) -> TestClient:
        """Return a client, which follows the best alias while it is open as a context."""
        limits = {"max_num": self.max_num, "rate": RateLimit(self.rate, clock=time.monotonic)}
        service = Service(self.versions, self.sample, self.metrics, self.observed, follow_s=0.1, **limits)
        return TestClient(create_app(service))
