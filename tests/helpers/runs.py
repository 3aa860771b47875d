"""Real runs of the command line in processes of their own, for tests that watch, kill and compare them."""

import contextlib
import hashlib
import os
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

LISTEN = "0A"  # the state of a socket in /proc/net
REPOSITORY = Path(__file__).parents[2]
TINY = [
    "name=tiny",
    "data.resolution=16",
    "networks.width=16",
    "networks.conditional=false",
    "loss={kind: non-saturating}",
    "penalties={r1_gamma: 0.0, every: 1}",
    "optimizer.generator={lr: 1e-3, beta1: 0.5, beta2: 0.999}",
    "optimizer.discriminator={lr: 1e-3, beta1: 0.5, beta2: 0.999}",
    "networks.ghost_batch=16",
    "train.total_images=19200",
    "train.batch_size=64",
    "train.max_seconds=null",
    "train.checkpoint_every=3200",
    "train.samples_every=9600",
    "train.log_every=640",
    "evaluate.every=9600",
    "evaluate.num_samples=512",
    "publish.model=tiny",
]
TIMEOUT_S = 240


def ganray(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Return the finished command; its output is kept, whatever it ended with."""
    command = [sys.executable, "-m", "ganray", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, cwd=REPOSITORY, env=environment(**variables))


def train(storage: Path | str, *overrides: str) -> subprocess.CompletedProcess[str]:
    """Return a finished training of the tiny job."""
    return ganray("train", "jobs/quickstart.yaml", *TINY, f"storage={storage}", *overrides)


@contextlib.contextmanager
def training(storage: Path | str, *overrides: str) -> Iterator[subprocess.Popen[str]]:
    """Give a running training of the tiny job; whatever is left of it afterwards is ended."""
    with running("train", "jobs/quickstart.yaml", *TINY, f"storage={storage}", *overrides) as driver:
        yield driver


@contextlib.contextmanager
def running(*arguments: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """Give a running command, with environment variables; whatever is left of it afterwards is ended."""
    command, settings = [sys.executable, "-m", "ganray", *arguments], {"cwd": REPOSITORY, "env": environment(**variables)}
    driver = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True, **settings)
    try:
        yield driver
    finally:
        ended(driver, descendants(driver.pid))


def ended(driver: subprocess.Popen[str], others: list[int]) -> None:
    """End a driver, and processes that it has started."""
    for pid in [driver.pid, *others]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    driver.communicate()


def descendants(pid: int) -> list[int]:
    """Return the process ids of all that a process has started, and what those have."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    found = [pid]
    for process in found:
        found += [child for child, parent in parents.items() if parent == process]
    return found[1:]


def train_workers(driver: int) -> list[int]:
    """Return the process ids of the training workers under a driver."""
    return actor_processes(driver, "RayTrainWorker")


def actor_processes(driver: int, name: str) -> list[int]:
    """Return the process ids of the actors of a class under a driver, by the name that Ray gives them."""
    found = []
    for pid in descendants(driver):
        with contextlib.suppress(OSError):
            if name in Path(f"/proc/{pid}/cmdline").read_text():
                found.append(pid)
    return found


def listening(pids: Iterable[int]) -> list[IPv4Address | IPv6Address]:
    """Return the address of each socket at which processes listen, those of IPv4 in IPv6 as IPv4."""
    inodes, found = set[str](), list[IPv4Address | IPv6Address]()
    for pid in pids:
        for handle in Path(f"/proc/{pid}/fd").glob("*"):
            with contextlib.suppress(OSError):
                inodes.add(os.readlink(handle))
    for table in ("tcp", "tcp6"):
        for _, local, _, state, *_, inode in (line.split()[:10] for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]):
            if state == LISTEN and f"socket:[{inode}]" in inodes:
                words = struct.unpack("<" + "I" * (len(local) // 8), bytes.fromhex(local.partition(":")[0]))
                address = ip_address(struct.pack(">" + "I" * len(words), *words))
                found.append(getattr(address, "ipv4_mapped", None) or address)
    return found


def kill_driver(driver: subprocess.Popen[str], *, ray: int | None = None) -> None:
    """Kill a driver, and wait until its workers, which notice soon, are gone too: those below it, or below the process of its Ray."""
    workers = train_workers(ray or driver.pid)
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    until = time.monotonic() + TIMEOUT_S
    while any(Path(f"/proc/{pid}").exists() for pid in workers):
        assert time.monotonic() < until, "workers outlive their driver"
        time.sleep(0.1)


def wait_until(condition: Callable[[], object], driver: subprocess.Popen[str]) -> None:
    """Wait until something is so; fail if the driver ends before, or after a long time."""
    until = time.monotonic() + TIMEOUT_S
    while not condition():
        assert driver.poll() is None, f"the driver ended early: {driver.communicate()[0]}"
        assert time.monotonic() < until, "waited too long"
        time.sleep(0.02)


@contextlib.contextmanager
def every(seconds: float, do: Callable[[], object]) -> Iterator[None]:
    """Do something again and again beside the block."""
    over = threading.Event()

    def repeat() -> None:
        while not over.wait(seconds):
            do()

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def checkpoints(storage: Path) -> list[Path]:
    """Return the folders of the tiny run's complete checkpoints, oldest first."""
    return sorted(manifest.parent for manifest in storage.glob("runs/tiny/checkpoints/*/manifest.json"))


def flip_last_byte(path: Path) -> None:
    """Damage a file in a way that leaves its size."""
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 0xFF]))


def final_state(storage: Path) -> dict[str, str]:
    """Return hashes of what a run ended with: training state, scored generator and published generator."""
    newest = checkpoints(storage)[-1]
    files = [newest / "state.pt", newest / "generator.safetensors", *sorted(storage.glob("models/tiny/*/generator.safetensors"))]
    return {str(file.relative_to(storage)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def environment(**extra: str) -> dict[str, str]:
    """Return what a command of its own is to have in its environment."""
    kept = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    return {**kept, "RAY_USAGE_STATS_ENABLED": "0", **extra}
