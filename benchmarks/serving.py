"""Load test of `ganray serve` on one replica: samples a second and latencies under concurrent clients, in interleaved rounds, against

- the bare generator in a loop, in chunks of 64, on as many threads as a replica has: how much serving costs at saturation;
- a plain FastAPI handler with the same generator that runs one request at a time, in a process of its own: what batching is worth.
"""

import argparse
import asyncio
import contextlib
import io
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import numpy as np
import safetensors.torch
import torch
import uvicorn
from fastapi import FastAPI, Response

from ganray.config import DcganNetworks
from ganray.gan.networks import build_networks
from ganray.gan.prior import Prior
from ganray.gan.sampling import CHUNK, sample_chunk, sample_inputs
from ganray.modalities.image_codec import ImageCodec
from ganray.registry.artifact import load_generator
from ganray.registry.generator_config import generator_config
from ganray.registry.manifest import CONFIG, GENERATOR, METRICS, to_json
from ganray.registry.registry import Registry
from ganray.serve.connections import HAPROXY
from ganray.storage import open_store
from tests.helpers.artifacts import PROTOCOL

PLAIN_PORT = 8711
WARM_UP_S = 2.0


@dataclass(frozen=True)
class Load:
    """What clients measured: samples a second, and percentiles of the seconds of a request."""

    rate: float
    p50: float
    p99: float

    def __str__(self) -> str:
        return f"{self.rate:8.0f} samples/s   p50 {1000 * self.p50:6.0f} ms   p99 {1000 * self.p99:6.0f} ms"


def make_artifact(folder: Path, *, width: int, side: int) -> str:
    """Publish a generator that nobody trained, of a width and for images of a side, and return its URI."""
    networks, shape = DcganNetworks(width=width), (3, side, side)
    generator, _ = build_networks(networks, shape, seed=0)
    files = {
        GENERATOR: safetensors.torch.save(generator.state_dict()),
        CONFIG: to_json(generator_config(networks, ImageCodec.of_shape(shape), Prior(networks.latent_dim), None)),
        METRICS: to_json({"scores": {PROTOCOL.metric: 1.0}, "protocol": PROTOCOL.dump()}),
    }
    number = Registry(open_store(folder)).publish("bench", files, {}, key="bench")
    return str(folder / "models/bench" / number)


def bare(artifact: str, seconds: float) -> float:
    """Return the samples a second of a generator in a loop, on one thread."""
    torch.set_num_threads(1)
    generator, chunk = load_generator(artifact), 0
    sample_chunk(generator, generator.prior, generator.layout, seed=0, chunk=0)
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        sample_chunk(generator, generator.prior, generator.layout, seed=0, chunk=chunk).numpy()
        chunk += 1
    return CHUNK * chunk / (time.perf_counter() - began)


def run_plain(artifact: str) -> None:
    """Serve a generator by a handler that runs one request at a time, until the process ends."""
    torch.set_num_threads(1)
    app, generator, turn = FastAPI(), load_generator(artifact), threading.Lock()

    @app.get("/samples")
    def get_samples(seed: int, start: int, num: int, format: str = "npy") -> Response:
        with turn, torch.no_grad():
            inputs = sample_inputs(generator.prior, seed=seed, start=start, num=num)
            samples = generator.layout.to_samples(generator(*inputs)).numpy()
        buffer = io.BytesIO()
        np.save(buffer, samples)
        return Response(buffer.getvalue(), media_type=f"application/x-{format}")

    uvicorn.run(app, port=PLAIN_PORT, log_level="error")


async def load(url: str, *, clients: int, num: int, seconds: float) -> Load:
    """Return what concurrent clients measured that ask for `num` samples, again and again: of the answers that came in the window."""
    began, took = time.perf_counter() + WARM_UP_S, list[float]()

    async def ask(session: aiohttp.ClientSession, client: int) -> None:
        number = 0
        while (start := time.perf_counter()) < began + seconds:
            query: dict[str, int | str] = {"seed": client, "start": number * num, "num": num, "format": "npy"}
            async with session.get(f"{url}samples", params=query) as answer:
                content = await answer.read()
            assert answer.status == 200, content[:200]
            number += 1
            if began < (ended := time.perf_counter()) < began + seconds:
                took.append(ended - start)

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await asyncio.gather(*(ask(session, client) for client in range(clients)))
    assert len(took) >= clients, f"only {len(took)} answers came within {seconds:g} s: measure for longer, or ask for fewer samples"
    cuts = statistics.quantiles(took, n=100)
    return Load(len(took) * num / seconds, cuts[49], cuts[98])


@contextlib.contextmanager
def running(command: list[str], **variables: str) -> Iterator[subprocess.Popen[str]]:
    """Run a process of this Python, with environment variables, while the block runs."""
    command = [sys.executable, "-m", *command]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | variables) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


@contextlib.contextmanager
def servers(artifact: str, *, haproxy: bool) -> Iterator[dict[str, str]]:
    """Give the URLs of both servers while the block runs."""
    serve = ["ganray", "serve", artifact, "--port", "0", "--rate", "0"]
    proxy = {HAPROXY: "1"} if haproxy else {}
    with running(["benchmarks.serving", "--plain", artifact]), running(serve, **proxy) as process:
        assert process.stdout
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found, "the server did not start"
        yield {"plain": f"http://127.0.0.1:{PLAIN_PORT}/", "ganray": found[0]}


def main() -> None:
    """Print each round's figures, and the medians of ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--artifact", help="a version's folder; by default a generator of --width and --side that nobody trained")
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--num", type=int, nargs="+", default=[16, 1], help="samples a request; each is a comparison of its own")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--haproxy", action="store_true", help="serve behind HAProxy rather than Ray Serve's own proxy")
    parser.add_argument("--plain", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.plain:
        run_plain(arguments.plain)
        return
    with tempfile.TemporaryDirectory() as folder:
        artifact = arguments.artifact or make_artifact(Path(folder), width=arguments.width, side=arguments.side)
        with servers(artifact, haproxy=arguments.haproxy) as urls:
            for num in arguments.num:
                compare(urls, artifact, num=num, arguments=arguments)


def compare(urls: dict[str, str], artifact: str, *, num: int, arguments: argparse.Namespace) -> None:
    """Print the rounds of one number of samples a request."""
    print(f"{arguments.clients} clients, {num} samples a request, {arguments.seconds:g} s each")
    ratios = []
    for _ in range(arguments.rounds):
        alone = bare(artifact, arguments.seconds)
        found = {name: asyncio.run(load(url, clients=arguments.clients, num=num, seconds=arguments.seconds)) for name, url in urls.items()}
        print(f"  bare    {alone:8.0f} samples/s\n" + "\n".join(f"  {name:<7} {measured}" for name, measured in found.items()), flush=True)
        ratios.append((found["ganray"].rate / alone, found["ganray"].rate / found["plain"].rate))
    of_bare, of_plain = (statistics.median(part) for part in zip(*ratios, strict=True))
    print(f"  ganray / bare: {of_bare:.2f}   ganray / plain: {of_plain:.2f}   (medians of {arguments.rounds} rounds)", flush=True)


if __name__ == "__main__":
    main()
