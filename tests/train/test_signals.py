"""A driver that is told to end while it prepares ends as by Ctrl-C: one line, the lock released, no process left."""

import os
import signal
import time
from pathlib import Path

import pytest

from tests.helpers.runs import descendants, training, wait_until

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_preparing_ends_the_driver_as_ctrl_c_does(tmp_path: Path, number: signal.Signals) -> None:
    lock = tmp_path / "runs/tiny/lock.json"
    with training(tmp_path) as driver:
        wait_until(lock.exists, driver)
        processes = descendants(driver.pid)
        os.kill(driver.pid, number)
        output, _ = driver.communicate(timeout=60)
        assert driver.returncode == 130, output
        assert output.splitlines()[-1] == "interrupted"
        assert "Traceback" not in output
        assert not lock.exists()
        until = time.monotonic() + 30
        while left := [pid for pid in processes if Path(f"/proc/{pid}").exists()]:
            assert time.monotonic() < until, left
            time.sleep(0.1)
