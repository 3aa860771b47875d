"""One driver a run: a lock in the run's store, with a lease that a dead driver loses.

On one machine a dead process shows at once. From elsewhere a driver counts as dead when its lock has not been renewed for
a whole lease, as measured by the one that waits, so no two clocks are compared.
"""

import contextlib
import json
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ganray.errors import ConfigError, GanrayError
from ganray.storage import MissingObject, ObjectStore

logger = logging.getLogger(__name__)

LOCK = "lock.json"
LEASE_S = 30.0


@contextlib.contextmanager
def sole_driver(run: ObjectStore, name: str, *, say: Callable[[str], None], lease_s: float = LEASE_S) -> Iterator[None]:
    """Hold the run's lock while the block runs; raise `GanrayError` if another living driver holds it."""
    lock = _RunLock(run, name, lease_s)
    lock.acquire(say)
    try:
        yield
    finally:
        lock.release()


class _RunLock:
    def __init__(self, run: ObjectStore, name: str, lease_s: float) -> None:
        self.run, self.name, self.lease_s = run, name, lease_s
        self.identity = {
            "id": uuid.uuid4().hex,
            "host": socket.gethostname(),
            "boot": _boot_id(),
            "pid": os.getpid(),
            "started": _started(os.getpid()),
        }
        self.over = threading.Event()
        self.renewer = threading.Thread(target=self._renew_until_over, name="run lock", daemon=True)

    def acquire(self, say: Callable[[str], None]) -> None:
        while not self.run.write_if_absent(LOCK, self._content()):
            held = self._read()
            if held is None:
                continue
            holder, tag = held
            if not _is_dead(holder) and (_is_here(holder) or not self._lease_runs_out(tag, holder, say)):
                raise self._held_by(holder)
            if self.run.write_if_unchanged(LOCK, self._content(), tag):
                break
        self.renewer.start()

    def release(self) -> None:
        self.over.set()
        self.renewer.join()
        held = self._read()
        if held and held[0].get("id") == self.identity["id"]:
            self.run.delete(LOCK)

    def _lease_runs_out(self, tag: str, holder: dict[str, Any], say: Callable[[str], None]) -> bool:
        """DivergenceMonitor a lock held from elsewhere for a lease, and return whether nobody renewed it."""
        say(f"run {self.name} is locked by {holder.get('host')}; waiting {self.lease_s:.0f} s to see whether that driver still lives")
        until = time.monotonic() + self.lease_s
        while time.monotonic() < until:
            time.sleep(min(1.0, self.lease_s / 10))
            held = self._read()
            if held is None or held[1] != tag:
                return held is None
        return True

    def _renew_until_over(self) -> None:
        while not self.over.wait(self.lease_s / 3):
            try:
                held = self._read()
                if held and held[0].get("id") == self.identity["id"]:
                    self.run.write_if_unchanged(LOCK, self._content(), held[1])
            except (GanrayError, OSError) as error:  # an outage passes: the next round renews
                logger.warning("the lock of run %s could not be renewed (%s)", self.name, error)

    def _read(self) -> tuple[dict[str, Any], str] | None:
        try:
            data, tag = self.run.read_tagged(LOCK)
        except MissingObject:
            return None
        try:
            return json.loads(data), tag
        except ValueError:
            return {}, tag

    def _content(self) -> bytes:
        return json.dumps({**self.identity, "renewed": time.time()}).encode()

    def _held_by(self, holder: dict[str, Any]) -> ConfigError:
        where = f"process {holder.get('pid')} on {holder.get('host')}"
        return ConfigError("name", f"run {self.name!r} is being driven by {where}", "wait for it, stop it, or give this job another name")


def _is_here(holder: dict[str, Any]) -> bool:
    return holder.get("started") is not None and holder.get("boot") == _boot_id()


def _is_dead(holder: dict[str, Any]) -> bool:
    """Return whether the holder ran on this machine and does no more."""
    return _is_here(holder) and _started(holder.get("pid", -1)) != holder.get("started")


def _boot_id() -> str:
    """Return what tells this machine, since it was started, from all others (and one container's processes from another's)."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip() + os.readlink("/proc/self/ns/pid")
    except OSError:
        return socket.gethostname()


def _started(pid: int) -> str | None:
    """Return when a process of this machine was started, None if there is none (a zombie counts as none)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]
