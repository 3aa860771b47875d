"""Heads of Ray clusters, started as an operator does."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.helpers.runs import REPOSITORY, descendants


@dataclass(frozen=True)
class Head:
    """A head started with `ray start --head`: its ports, and the environment that holds the cluster's token."""

    ports: tuple[int, ...]
    environment: dict[str, str]
    process: subprocess.Popen[bytes]

    @property
    def gcs_address(self) -> str:
        """Where drivers connect to."""
        return f"127.0.0.1:{self.ports[0]}"

    @property
    def address(self) -> str:
        """Where the dashboard is, which takes jobs."""
        return f"http://127.0.0.1:{self.ports[1]}"

    def ganray(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Return a finished command of ganray's that is told the dashboard's address."""
        command = [sys.executable, "-m", "ganray", *arguments, "--address", self.address]
        return subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, env=self.environment, timeout=240)

    @contextlib.contextmanager
    def started_ganray(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """Give such a command while it runs, with its errors in its output; it is ended afterwards."""
        command = [sys.executable, "-m", "ganray", *arguments, "--address", self.address]
        pipes: dict[str, int] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        with subprocess.Popen(command, text=True, cwd=REPOSITORY, env=self.environment, **pipes) as process:
            try:
                yield process
            finally:
                process.kill()

    def kill(self) -> None:
        """End all processes of its machine's Ray at once."""
        for pid in [*descendants(self.process.pid), self.process.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()


@contextlib.contextmanager
def running_head(ports: tuple[int, ...] = (), **variables: str) -> Iterator[Head]:
    """Give a head of two CPUs, with these environment variables, whose ports (of head, dashboard and clients; or free ones) are open."""
    ports = ports or tuple(free_port() for _ in range(3))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, **variables}
    environment.pop("RAY_ADDRESS", None)
    flags = [f"--port={ports[0]}", f"--dashboard-port={ports[1]}", f"--ray-client-server-port={ports[2]}", "--disable-usage-stats"]
    command = ["ray", "start", "--head", "--block", "--num-cpus=2", *flags]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    head = Head(ports, environment, process)
    try:
        until = time.monotonic() + 180
        while not all(map(is_open, ports[:2])):
            assert time.monotonic() < until, "the head did not come up"
            time.sleep(0.2)
        yield head
    finally:
        head.kill()


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def is_open(port: int) -> bool:
    """Return whether something listens on a port of this machine."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def driver_below(pid: int) -> int:
    """Return the driver of ganray's that runs as a job below a head's process, without the shell that Ray starts it by."""
    commands = {below: Path(f"/proc/{below}/cmdline").read_bytes().split(b"\0") for below in descendants(pid)}
    (driver,) = (below for below, words in commands.items() if words[1:4] == [b"-m", b"ganray", b"train"])
    return driver
