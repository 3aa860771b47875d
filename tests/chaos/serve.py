"""`ganray serve` among hostile clients: 32 honest clients ask while others send what nobody should, and thousands of connections idle.

In the middle another version is promoted. Every honest request must be answered, with the samples of the version that the answer names,
and of the new version once the promotion was seen; every hostile one must be told what is wrong with it; and proxy and replica must have
no more memory and handles afterwards than before. Prints figures, and one line of JSON at the end; exits with 1 if anything is wrong.
"""

import argparse
import asyncio
import io
import json
import re
import resource
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np

from ganray.registry.promotion import promote
from ganray.registry.registry import Registry
from ganray.serve.connections import HAPROXY
from ganray.storage import open_store
from tests.chaos.hostile import REQUESTS, TIMEOUT_S, Address, Idle, attack, num_open
from tests.chaos.soak import Sample, measure
from tests.helpers.artifacts import publish
from tests.helpers.runs import actor_processes, running
from tests.helpers.serving import generated

VERSIONS = ("0001", "0002")  # the second is the best, until the first is promoted
CLIENTS, ATTACKERS = 32, 4
SEEDS, START, NUM = 4, 62, 3  # what clients ask for: samples in two chunks
WARM_UP_S, SETTLE_S, FOLLOW_S = 5.0, 30.0, 0.5
PROCESSES = {"proxy": "ProxyActor", "replica": "ServeReplica:ganray:Replica"}  # by the names that Ray gives them
MAX_GROWTH = {"memory": 48 << 20, "handles": 8, "threads": 8}  # that is none


@dataclass
class Report:
    """What was seen. `strange` and `wrong` must stay empty, and every status of a client must be 200."""

    statuses: Counter = field(default_factory=Counter)
    versions: Counter = field(default_factory=Counter)
    hostile: Counter = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)  # samples of another version, or other samples
    strange: list[str] = field(default_factory=list)  # answers to hostile requests
    seconds: list[float] = field(default_factory=list)
    usage: dict[str, dict[str, Sample]] = field(default_factory=dict)  # of each process before, during and after
    idle: int = 0
    idle_refused: int = 0
    idle_left: int = 0  # open in the end

    @property
    def growth(self) -> list[str]:
        """What a process has more of afterwards than before, as lines."""
        found = []
        for name, usage in self.usage.items():
            for what, allowed in MAX_GROWTH.items():
                if (more := usage["after"][what] - usage["before"][what]) > allowed:
                    found.append(f"{name}: {what} grew by {more:.0f}")
        return found

    @property
    def problems(self) -> list[str]:
        """All that is wrong, as lines."""
        failed = [f"{number} requests ended with {status}" for status, number in self.statuses.items() if status != 200]
        missing = [f"version {version} was never served" for version in VERSIONS if not self.versions[version]]
        return [*failed, *missing, *self.wrong, *self.strange, *self.growth]

    def figures(self) -> dict[str, Any]:
        """Return the figures as JSON types."""
        cuts = statistics.quantiles(self.seconds, n=100)
        return {
            "requests": dict(self.statuses),
            "versions": dict(self.versions),
            "wrong": len(self.wrong),
            "hostile": {str(status): number for status, number in sorted(self.hostile.items())},
            "strange": len(self.strange),
            "p50_ms": round(1000 * cuts[49], 1),
            "p99_ms": round(1000 * cuts[98], 1),
            "idle": self.idle,
            "idle_refused": self.idle_refused,
            "idle_left": self.idle_left,
            "usage": self.usage,
        }

    def lines(self) -> list[str]:
        """Return the figures as lines to read."""
        found = self.figures()
        usage = [f"{name} {when:7} {_usage(seen)}" for name, times in self.usage.items() for when, seen in times.items()]
        return [
            f"requests by status: {found['requests']}, by version: {found['versions']}, wrong versions or samples: {found['wrong']}",
            f"p50 {found['p50_ms']} ms, p99 {found['p99_ms']} ms",
            f"hostile requests by status: {found['hostile']}, answered otherwise than they should: {found['strange']}",
            f"idle connections: {self.idle}, refused: {self.idle_refused}, open in the end: {self.idle_left}",
            *usage,
        ]


def _usage(seen: Sample) -> str:
    return f"{seen['memory'] / (1 << 20):8.1f} MiB {seen['handles']:7.0f} handles {seen['threads']:5.0f} threads"


@dataclass
class Clients:
    """The honest clients of a server: what they should be given, and since when it is of the new version only."""

    url: str
    samples: dict[tuple[str, int], bytes]
    report: Report
    is_moved: bool = False  # whether an answer was of the new version, after which none may be of the old one

    async def ask_until(self, over: asyncio.Event, client: int) -> None:
        """Ask again and again: every other client on a new connection each time."""
        connector = aiohttp.TCPConnector(force_close=bool(client % 2))
        async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(TIMEOUT_S)) as session:
            number = client
            while not over.is_set():
                await self._ask(session, number % SEEDS)
                number += 1

    async def _ask(self, session: aiohttp.ClientSession, seed: int) -> None:
        began, was_moved = time.perf_counter(), self.is_moved
        query = {"seed": seed, "start": START, "num": NUM, "format": "npy"}
        try:
            async with session.get(f"{self.url}samples", params=query) as answer:
                content, version = await answer.read(), answer.headers.get("x-ganray-version", "")
        except (aiohttp.ClientError, TimeoutError) as error:  # a failed request
            self.report.statuses[type(error).__name__] += 1
            return
        self.report.seconds.append(time.perf_counter() - began)
        self.report.statuses[answer.status] += 1
        if answer.status == 200:
            self._check(version, seed, content, was_moved)

    def _check(self, version: str, seed: int, content: bytes, was_moved: bool) -> None:
        """Note an answer's version, and what is wrong with it. A request that began before the promotion was seen may be of either."""
        self.report.versions[version] += 1
        self.is_moved = self.is_moved or version == VERSIONS[0]
        if np.load(io.BytesIO(content)).tobytes() != self.samples.get((version, seed)):
            self.report.wrong.append(f"other samples than those of version {version!r}, seed {seed}")
        elif was_moved and version != VERSIONS[0]:
            self.report.wrong.append(f"version {version} after {VERSIONS[0]} was served")


async def besiege(clients: Clients, address: Address, *, seconds: float, attackers: int, middle: Callable[[], object]) -> None:
    """Let honest and hostile clients ask for a while, in the middle of which `middle` is called."""
    over, report = asyncio.Event(), clients.report
    asking = [asyncio.create_task(clients.ask_until(over, number)) for number in range(CLIENTS)]
    asking += [
        asyncio.create_task(attack(address, over, len(REQUESTS) // ATTACKERS * number, report.hostile, report.strange))
        for number in range(attackers)
    ]
    await asyncio.sleep(seconds / 2)
    await asyncio.to_thread(middle)
    await asyncio.sleep(seconds / 2)
    over.set()
    await asyncio.gather(*asking)


def serve(folder: Path, *, seconds: float, idle: int, handles: int | None = None, haproxy: bool = False) -> Report:
    """Serve a model of two versions, let clients of all kinds come, and return what was seen. The proxy may have `handles`."""
    registry = Registry(open_store(folder / "store"))
    publish(registry, 2.0, 1.0)
    model = folder / "store/models/m"
    samples = generated(model, VERSIONS, seeds=SEEDS, start=START, num=NUM)
    proxy = {HAPROXY: "1"} if haproxy else {}
    with running("serve", str(model), "--port", "0", "--rate", "0", "--follow", str(FOLLOW_S), **proxy) as driver:
        assert driver.stdout
        found = re.search(r"http://([\d.]+):(\d+)/", line := driver.stdout.readline())
        assert found, f"the server did not start: {line}"
        titles = PROCESSES | ({"proxy": "haproxy.cfg"} if haproxy else {})
        processes = {name: actor_processes(driver.pid, title)[0] for name, title in titles.items()}
        if handles:
            resource.prlimit(processes["proxy"], resource.RLIMIT_NOFILE, (handles, handles))
        siege = Siege(Clients(found[0], samples, Report(idle=idle)), (found[1], int(found[2])), processes)
        return siege.run(seconds, promotion=partial(promote, registry, "m", VERSIONS[0], why="to see it served"))


@dataclass
class Siege:
    """Clients of a server, and its processes, which are looked at."""

    clients: Clients
    address: Address
    processes: dict[str, int]

    def run(self, seconds: float, *, promotion: Callable[[], object]) -> Report:
        """Let clients ask for a while, with a promotion in the middle and idle connections beside them, and return what was seen."""
        report = self.clients.report
        report.usage = {name: {} for name in self.processes}
        idle = Idle(self.address, report.idle)
        warming = Clients(self.clients.url, self.clients.samples, Report())
        asyncio.run(besiege(warming, self.address, seconds=WARM_UP_S, attackers=1, middle=lambda: None))
        self._look("before")
        during = threading.Timer(seconds * 3 / 4, self._look, ["during"])
        idle.start()
        during.start()
        asyncio.run(besiege(self.clients, self.address, seconds=seconds, attackers=ATTACKERS, middle=promotion))
        during.join()
        report.idle_left, report.idle_refused = num_open(idle.connections), idle.refused
        idle.close()
        self._settle()
        return report

    def _look(self, when: str) -> None:
        for name, pid in self.processes.items():
            self.clients.report.usage[name][when] = measure(pid)

    def _settle(self) -> None:
        """Look until nothing has grown, or for long enough."""
        until = time.monotonic() + SETTLE_S
        self._look("after")
        while self.clients.report.growth and time.monotonic() < until:
            time.sleep(1.0)
            self._look("after")


def main() -> None:
    """Print the figures of one siege."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--idle", type=int, default=10_000, help="connections that send nothing, or the beginning of a request")
    parser.add_argument("--handles", type=int, help="that the proxy may have")
    parser.add_argument("--haproxy", action="store_true", help="serve behind HAProxy")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="siege-") as folder:
        report = serve(Path(folder), seconds=arguments.seconds, idle=arguments.idle, handles=arguments.handles, haproxy=arguments.haproxy)
    print("\n".join([*report.lines(), *report.problems[:20], json.dumps(report.figures())]))
    sys.exit(bool(report.problems))


if __name__ == "__main__":
    main()
