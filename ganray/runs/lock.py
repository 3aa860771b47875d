"""One driver a run: a fenced lease in the run's store.

A driver that has not renewed its lock for a whole lease loses it, as measured by the one that waits, so no two clocks are compared;
one that died on this machine loses it at once. Every writer checks the lock's fencing token first, so that a
driver that was frozen and thawed, and its workers, write nothing over those of its successor.
"""

import contextlib
import json
import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ganray.cluster.process import is_dead, is_running_here, own_identity
from ganray.errors import GanrayError, RunLocked
from ganray.storage import MissingObject, ObjectStore

logger = logging.getLogger(__name__)

LOCK = "lock.json"
LEASE_S = 30.0


@dataclass(frozen=True)
class Fence:
    """A fencing token: proof that a driver holds its lock, which everything that writes for the driver checks first. Picklable."""

    store: ObjectStore
    name: str
    token: str

    def check(self) -> None:
        """Raise `RunLocked` if the lock is not this driver's any more."""
        held = _read(self.store)
        if held is None or held[0].get("id") != self.token:
            holder = f"process {held[0].get('pid')} on {held[0].get('host')}" if held else "another driver, which has ended"
            problem = f"run {self.name!r} was taken over by {holder}, since this driver was not heard of for a whole lease"
            raise RunLocked("name", problem, "leave the run to it; this driver has stopped its workers and writes nothing more")


@contextlib.contextmanager
def driver_lock(store: ObjectStore, name: str, *, lease_s: float | None = None) -> Iterator["DriverLock"]:
    """Hold the lock of the run in `store` while the block runs. Raises `RunLocked` if another living driver holds it."""
    lock = DriverLock(store, name, lease_s or LEASE_S)
    lock.acquire()
    try:
        yield lock
    finally:
        lock.release()


class DriverLock:
    """A lease on a run, renewed in a thread. `lost` is set once another driver has taken it, as from one that was frozen."""

    def __init__(self, store: ObjectStore, name: str, lease_s: float) -> None:
        self.store, self.name, self.lease_s = store, name, lease_s
        self.identity = {"id": uuid.uuid4().hex, **own_identity()}
        self.lost = threading.Event()
        self.callbacks: list[Callable[[], None]] = []
        self.released = threading.Event()
        self.renewer = threading.Thread(target=self._renew_until_released, name="run lock", daemon=True)

    @property
    def fence(self) -> Fence:
        """What writers check before they write."""
        return Fence(self.store, self.name, str(self.identity["id"]))

    def acquire(self) -> None:
        """Take the lock. Raises `RunLocked`."""
        while not self.store.write_if_absent(LOCK, self._content()):
            held = _read(self.store)
            if held is None:
                continue
            holder, tag = held
            if not is_dead(holder) and (is_running_here(holder) or not self._lease_runs_out(tag, holder)):
                raise self._held_by(holder)
            if self.store.write_if_unchanged(LOCK, self._content(), tag):
                break
        self.renewer.start()

    def on_lost(self, callback: Callable[[], None]) -> None:
        """Have something called once another driver has taken the lock; at once if it has already."""
        self.callbacks.append(callback)
        if self.lost.is_set():
            callback()

    def release(self) -> None:
        """Give the lock back, unless another driver has taken it."""
        self.released.set()
        self.renewer.join()
        held = _read(self.store)
        if held and held[0].get("id") == self.identity["id"]:
            self.store.delete(LOCK)

    def _lease_runs_out(self, tag: str, holder: dict[str, Any]) -> bool:
        """Watch a lock for a lease, and return whether nobody renewed it."""
        logger.warning(
            "run %s is locked by %s; waiting %.0f s to see whether that driver still lives", self.name, holder.get("host"), self.lease_s
        )
        until = time.monotonic() + self.lease_s
        while time.monotonic() < until:
            time.sleep(min(1.0, self.lease_s / 10))
            held = _read(self.store)
            if held is None or held[1] != tag:
                return held is None
        return True

    def _renew_until_released(self) -> None:
        failed_before, warned = False, set[str]()
        while not self.released.wait(self.lease_s / 3) and not self.lost.is_set():
            try:
                held = _read(self.store)
                if held and held[0].get("id") == self.identity["id"]:
                    self.store.write_if_unchanged(LOCK, self._content(), held[1])
                else:
                    self._lose()
                failed_before = False
            except (GanrayError, OSError) as error:  # an outage passes: the next round renews
                if failed_before and str(error) not in warned:
                    warned.add(str(error))
                    logger.warning("the lock of run %s could not be renewed (%s)", self.name, error)
                failed_before = True

    def _lose(self) -> None:
        self.lost.set()
        for callback in self.callbacks:
            callback()

    def _content(self) -> bytes:
        return json.dumps({**self.identity, "renewed": time.time()}).encode()

    def _held_by(self, holder: dict[str, Any]) -> RunLocked:
        where = f"process {holder.get('pid')} on {holder.get('host')}"
        return RunLocked("name", f"run {self.name!r} is being driven by {where}", "wait for it, stop it, or give this job another name")


def read_holder(store: ObjectStore) -> dict[str, Any] | None:
    """Return who holds the lock of the run in `store` (host, pid, renewed in Unix seconds), None if nobody living on this machine does."""
    held = _read(store)
    return None if held is None or is_dead(held[0]) else held[0]


def _read(store: ObjectStore) -> tuple[dict[str, Any], str] | None:
    """Return a lock's content and its tag, None if it is free."""
    try:
        data, tag = store.read_tagged(LOCK)
    except MissingObject:
        return None
    try:
        return json.loads(data), tag
    except ValueError:
        return {}, tag
