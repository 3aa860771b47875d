"""One driver a run: a living one keeps its lock, a dead one loses it, at once on this machine and after a lease elsewhere."""

import contextlib
import json
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ganray.errors import RunLocked, StorageRefused
from ganray.runs.lock import LOCK, driver_lock, read_holder
from ganray.storage import MissingObject, ObjectStore, open_store
from tests.helpers.processes import freeze
from tests.helpers.runs import every

SHORT_S = 1.0  # the lease of these tests
ELSEWHERE = {"id": "other", "host": "elsewhere", "boot": "another machine's", "pid": 1, "started": "1"}
HOLD = """import sys
from ganray.storage import open_store
from ganray.runs.lock import driver_lock
with driver_lock(open_store(sys.argv[1]), "r"):
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


def acquired_after(run: ObjectStore) -> float:
    """Return the seconds that it takes to get the lock, which then is given back."""
    start = time.monotonic()
    with driver_lock(run, "r", lease_s=SHORT_S):
        return time.monotonic() - start


def test_a_second_driver_is_refused_while_the_first_lives(run: ObjectStore) -> None:
    with other_driver(run) as driver:
        with pytest.raises(RunLocked, match=f"run 'r' is being driven by process {driver.pid} on .+; wait for it") as refused:
            acquired_after(run)
        assert refused.value.field == "name"
        assert holder(run)["pid"] == driver.pid


def test_a_dead_drivers_lock_is_taken_over_at_once(run: ObjectStore, caplog: pytest.LogCaptureFixture) -> None:
    with other_driver(run) as driver:
        driver.kill()
        driver.wait()
    assert holder(run)["pid"] == driver.pid
    assert acquired_after(run) < SHORT_S / 2
    assert caplog.messages == []


def test_a_lock_is_gone_when_its_driver_has_ended(run: ObjectStore) -> None:
    with other_driver(run) as driver:
        driver.stdin.close()
        driver.wait()
    with pytest.raises(MissingObject):
        run.read(LOCK)


@pytest.mark.parametrize("content", [json.dumps(ELSEWHERE).encode(), b"{"], ids=["whole", "torn"])
def test_a_lock_from_elsewhere_that_is_not_renewed_is_taken_after_a_lease(
    run: ObjectStore, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    run.write(LOCK, content)
    assert SHORT_S <= acquired_after(run) < 3 * SHORT_S
    (line,) = caplog.messages
    assert line.startswith("run r is locked by")


def test_a_lock_from_elsewhere_that_is_renewed_is_respected(run: ObjectStore) -> None:
    renewals = iter(range(1000))

    def renew() -> None:
        run.write(LOCK, json.dumps({**ELSEWHERE, "renewed": next(renewals)}).encode())

    renew()
    with every(SHORT_S / 3, renew), pytest.raises(RunLocked, match="run 'r' is being driven by process 1 on elsewhere"):
        acquired_after(run)
    assert holder(run)["id"] == "other"


def test_a_lock_from_elsewhere_that_is_given_back_is_free(run: ObjectStore) -> None:
    run.write(LOCK, json.dumps(ELSEWHERE).encode())
    with every(SHORT_S / 4, lambda: run.delete(LOCK) if holder_is_elsewhere(run) else None):
        assert acquired_after(run) < SHORT_S


def holder_is_elsewhere(run: ObjectStore) -> bool:
    try:
        return holder(run)["id"] == "other"
    except MissingObject:
        return False


def test_a_held_lock_is_renewed_within_each_lease(run: ObjectStore) -> None:
    with driver_lock(run, "r", lease_s=SHORT_S):
        first = holder(run)
        time.sleep(SHORT_S)
        later = holder(run)
    assert later["id"] == first["id"]
    assert later["renewed"] > first["renewed"]


def test_a_full_disk_is_said_once_while_a_lock_cannot_be_renewed(
    run: ObjectStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise StorageRefused("storage", "cannot write: no space left on device", "free some space")

    with driver_lock(run, "r", lease_s=SHORT_S / 5), monkeypatch.context() as patched:
        patched.setattr(type(run), "write_if_unchanged", refuse)
        time.sleep(SHORT_S)
    (line,) = caplog.messages
    assert "no space left on device" in line


def test_a_lock_that_could_not_be_renewed_once_is_not_worth_a_word(
    run: ObjectStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    renew, outcomes = type(run).write_if_unchanged, iter([OSError("an outage"), None, OSError("an outage")])

    def renew_or_fail(*arguments: object) -> bool:
        if error := next(outcomes, None):
            raise error
        return renew(*arguments)

    monkeypatch.setattr(type(run), "write_if_unchanged", renew_or_fail)
    with driver_lock(run, "r", lease_s=SHORT_S / 5):
        time.sleep(SHORT_S)
    assert caplog.messages == []


def test_a_driver_that_lost_its_lock_leaves_the_new_holders_alone(run: ObjectStore) -> None:
    with driver_lock(run, "r", lease_s=SHORT_S):
        run.write(LOCK, json.dumps(ELSEWHERE).encode())
        time.sleep(SHORT_S / 2)
    assert holder(run) == ELSEWHERE


def test_a_driver_that_was_stopped_loses_its_lock_after_a_lease(run: ObjectStore) -> None:
    with other_driver(run) as driver:
        freeze(driver.pid)
        assert SHORT_S <= acquired_after(run) < 3 * SHORT_S


def test_a_driver_whose_lock_was_taken_is_told_and_its_writers_are_refused(run: ObjectStore) -> None:
    told = threading.Event()
    with driver_lock(run, "r", lease_s=SHORT_S) as lock:
        lock.on_lost(told.set)
        fence = pickle.loads(pickle.dumps(lock.fence))  # as workers get it
        fence.check()
        assert not told.is_set()
        run.write(LOCK, json.dumps(ELSEWHERE).encode())
        with pytest.raises(RunLocked, match="run 'r' was taken over by process 1 on elsewhere"):
            fence.check()
        assert told.wait(SHORT_S)
    assert holder(run) == ELSEWHERE


def test_a_lock_that_was_given_back_lets_nobody_write(run: ObjectStore) -> None:
    with driver_lock(run, "r", lease_s=SHORT_S) as lock:
        pass
    with pytest.raises(RunLocked):
        lock.fence.check()


def test_the_holder_of_a_lock_is_known_while_it_lives(run: ObjectStore) -> None:
    assert read_holder(run) is None
    with other_driver(run) as driver:
        assert read_holder(run)["pid"] == driver.pid
        driver.kill()
        driver.wait()
    assert read_holder(run) is None
