"""One driver a run: a living one keeps its lock, a dead one loses it, at once on this machine and after a lease elsewhere."""

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ganray.errors import GanrayError
from ganray.runs.lock import LOCK, sole_driver
from ganray.storage import MissingObject, ObjectStore, open_store

SHORT_S = 1.0  # the lease of these tests
ELSEWHERE = {"id": "other", "host": "elsewhere", "boot": "another machine's", "pid": 1, "started": "1"}
HOLD = """import sys
from ganray.storage import open_store
from ganray.runs.lock import sole_driver
with sole_driver(open_store(sys.argv[1]), "r", say=print):
    print("held", flush=True)
    sys.stdin.read()"""


@pytest.fixture
def run(tmp_path: Path) -> ObjectStore:
    return open_store(tmp_path)


@contextlib.contextmanager
def other_driver(run: ObjectStore) -> Iterator[subprocess.Popen[str]]:
    """Give a process that holds the run's lock; it is killed when the block ends."""
    with subprocess.Popen([sys.executable, "-c", HOLD, run.uri], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as driver:
        try:
            assert driver.stdout.readline() == "held\n"
            yield driver
        finally:
            driver.kill()


def holder(run: ObjectStore) -> dict[str, object]:
    return json.loads(run.read(LOCK))


def acquired_after(run: ObjectStore, said: list[str]) -> float:
    """Return the seconds that it takes to get the lock, which then is given back."""
    start = time.monotonic()
    with sole_driver(run, "r", say=said.append, lease_s=SHORT_S):
        return time.monotonic() - start


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


def test_a_second_driver_is_refused_while_the_first_lives(run: ObjectStore) -> None:
    with other_driver(run) as driver:
        with pytest.raises(GanrayError, match=f"run 'r' is being driven by process {driver.pid} on .+; wait for it") as refused:
            acquired_after(run, [])
        assert refused.value.field == "name"
        assert holder(run)["pid"] == driver.pid


def test_a_dead_drivers_lock_is_taken_over_at_once(run: ObjectStore) -> None:
    with other_driver(run) as driver:
        driver.kill()
        driver.wait()
    said = []
    assert holder(run)["pid"] == driver.pid
    assert acquired_after(run, said) < SHORT_S / 2
    assert said == []


def test_a_lock_is_gone_when_its_driver_has_ended(run: ObjectStore) -> None:
    with other_driver(run) as driver:
        driver.stdin.close()
        driver.wait()
    with pytest.raises(MissingObject):
        run.read(LOCK)


@pytest.mark.parametrize("content", [json.dumps(ELSEWHERE).encode(), b"{"], ids=["whole", "torn"])
def test_a_lock_from_elsewhere_that_is_not_renewed_is_taken_after_a_lease(run: ObjectStore, content: bytes) -> None:
    run.write(LOCK, content)
    said = []
    assert SHORT_S <= acquired_after(run, said) < 3 * SHORT_S
    (line,) = said
    assert line.startswith("run r is locked by")


def test_a_lock_from_elsewhere_that_is_renewed_is_respected(run: ObjectStore) -> None:
    renewals = iter(range(1000))

    def renew() -> None:
        run.write(LOCK, json.dumps({**ELSEWHERE, "renewed": next(renewals)}).encode())

    renew()
    with every(SHORT_S / 3, renew), pytest.raises(GanrayError, match="run 'r' is being driven by process 1 on elsewhere"):
        acquired_after(run, [])
    assert holder(run)["id"] == "other"


def test_a_lock_from_elsewhere_that_is_given_back_is_free(run: ObjectStore) -> None:
    run.write(LOCK, json.dumps(ELSEWHERE).encode())
    with every(SHORT_S / 4, lambda: run.delete(LOCK) if holder_is_elsewhere(run) else None):
        assert acquired_after(run, []) < SHORT_S


def holder_is_elsewhere(run: ObjectStore) -> bool:
    try:
        return holder(run)["id"] == "other"
    except MissingObject:
        return False


def test_a_held_lock_is_renewed_within_each_lease(run: ObjectStore) -> None:
    with sole_driver(run, "r", say=print, lease_s=SHORT_S):
        first = holder(run)
        time.sleep(SHORT_S)
        later = holder(run)
    assert later["id"] == first["id"]
    assert later["renewed"] > first["renewed"]


def test_a_driver_that_lost_its_lock_leaves_the_new_holders_alone(run: ObjectStore) -> None:
    with sole_driver(run, "r", say=print, lease_s=SHORT_S):
        run.write(LOCK, json.dumps(ELSEWHERE).encode())
        time.sleep(SHORT_S / 2)
    assert holder(run) == ELSEWHERE
