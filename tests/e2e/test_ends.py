"""However a run ends, nothing of ganray's is left 30 s later: no process, no temporary folder, and no lock but a killed driver's."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ganray.cluster.process import started
from tests.helpers.runs import REPOSITORY, TINY, checkpoints, descendants, ended, environment, every, train_workers, wait_until

pytestmark = pytest.mark.slow

LEFT_S = 30.0
LONG = ["train.total_images=1000000", "evaluate.every=1000000", "publish.every=0", "train.max_failures=0"]
SHORT = ["train.total_images=3200", "evaluate.every=3200"]
ENDS = {  # how a run ends: the exit code
    "done": 0,
    "error": 3,
    "SIGINT": 130,
    "SIGTERM": 130,
    "SIGHUP": 130,
    "SIGKILL": -9,
}


def note_started(driver: subprocess.Popen[str], seen: dict[int, str]) -> None:
    """Note the processes that a driver has started, or those have, and when they were started."""
    seen.update({pid: since for pid in descendants(driver.pid) if pid not in seen and (since := started(pid))})


def end(driver: subprocess.Popen[str], storage: Path, how: str) -> None:
    """Have a run that has a checkpoint end in a way."""
    if how != "done":
        wait_until(lambda: checkpoints(storage), driver)
    if how == "error":
        os.kill(train_workers(driver.pid)[0], signal.SIGKILL)
    elif how != "done":
        driver.send_signal(signal.Signals[how])


@pytest.mark.parametrize("how", ENDS)
def test_nothing_is_left_of_a_run(tmp_path: Path, how: str) -> None:
    storage, temporary = tmp_path / "store", tmp_path / "tmp"
    temporary.mkdir()
    command = [sys.executable, "-m", "ganray", "train", "jobs/quickstart.yaml", *TINY, *(SHORT if how == "done" else LONG)]
    driver = subprocess.Popen(
        [*command, f"storage={storage}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=REPOSITORY,
        env=environment(TMPDIR=str(temporary), RAY_TMPDIR="/tmp"),
        start_new_session=True,
    )
    processes: dict[int, str] = {}
    try:
        with every(0.1, lambda: note_started(driver, processes)):
            end(driver, storage, how)
            output, _ = driver.communicate(timeout=240)
        assert driver.returncode == ENDS[how], output
        assert processes
        until = time.monotonic() + LEFT_S
        while left := [*map(_command_line, alive(processes)), *temporary.glob("ganray-*")]:
            assert time.monotonic() < until, left
            time.sleep(0.1)
        assert (storage / "runs/tiny/lock.json").exists() == (how == "SIGKILL")
    finally:
        ended(driver, alive(processes))


def alive(processes: dict[int, str]) -> list[int]:
    """Return those of some processes that have not ended."""
    return [pid for pid, since in processes.items() if started(pid) == since]


def _command_line(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    return str(pid)
