"""A driver that was frozen past its lease: another takes its run over, and once thawed it stops its workers and writes nothing more."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.processes import freeze
from tests.helpers.runs import REPOSITORY, TINY, checkpoints, descendants, ended, environment, train_workers, wait_until

pytestmark = pytest.mark.e2e

LEASE_S = 4
DRIVER = f"""import sys
from ganray.runs import lock
lock.LEASE_S = {LEASE_S}
sys.argv[0] = "ganray"
from ganray.cli import main
main()"""
TAKEN_OVER = (  # the other driver may have ended by the time that this one has stopped its workers
    r"error: name: run 'tiny' was taken over by (process \d+ on \S+|another driver, which has ended), since .* whole lease; "
    r"leave the run to it; this driver has stopped its workers and writes nothing more"
)
LONG = ["train.total_images=96000", "evaluate.every=96000", "train.samples_every=96000", "publish.every=0"]


def driver(storage: Path) -> subprocess.Popen[str]:
    """Start a driver of the tiny run with a short lease."""
    arguments = ["train", "jobs/quickstart.yaml", *TINY, *LONG, f"storage={storage}"]
    return subprocess.Popen(
        [sys.executable, "-c", DRIVER, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=REPOSITORY,
        env=environment(),
        start_new_session=True,
    )


@pytest.mark.slow
def test_a_frozen_driver_s_run_is_taken_over_and_thawed_it_stops(tmp_path: Path) -> None:
    first = driver(tmp_path)
    second = None
    try:
        wait_until(lambda: checkpoints(tmp_path), first)
        freeze(first.pid)
        second = driver(tmp_path)
        lock = tmp_path / "runs/tiny/lock.json"
        wait_until(lambda: f'"pid": {second.pid}' in lock.read_text(), second)
        workers = train_workers(first.pid)
        os.kill(first.pid, signal.SIGCONT)
        output, _ = first.communicate(timeout=120)
        assert first.returncode == 3, output
        assert re.fullmatch(TAKEN_OVER, output.splitlines()[-1])
        assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()]
        output, _ = second.communicate(timeout=240)
        assert second.returncode == 0, output
        assert "run tiny is finished: 96,000 images" in output
        assert len(list(tmp_path.glob("models/tiny/*/manifest.json"))) == 1
        assert not lock.exists()
    finally:
        for process in filter(None, (first, second)):
            ended(process, descendants(process.pid))
