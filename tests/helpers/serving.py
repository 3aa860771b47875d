"""The HTTP interface of a served model in this process, without Ray Serve, and the samples that servers should give."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from starlette.testclient import TestClient

from ganray.gan.sampling import num_chunks
from ganray.generation.batch import Settings, in_process
from ganray.modalities.codec import Samples
from ganray.registry.artifact import open_artifact, read_artifact
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


def generated(model: Path, versions: Sequence[str], *, seeds: int, start: int, num: int) -> dict[tuple[str, int], bytes]:
    """Return samples of versions of a model, by version and seed, as `ganray generate` makes them."""
    found = {}
    for version in versions:
        _, files = read_artifact(open_artifact(str(model / version)))
        for seed in range(seeds):
            samples = np.concatenate(list(in_process(files, Settings(seed), chunks=range(num_chunks(start + num)))))
            found[version, seed] = samples[start : start + num].tobytes()
    return found
