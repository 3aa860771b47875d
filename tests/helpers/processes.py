"""Processes that tests start: forks of one that has imported torch and what tests of them share, which takes seconds, and once.

Ray stays out: its import starts a thread.
"""

import multiprocessing
import os
import signal
import time
from multiprocessing.pool import Pool
from pathlib import Path

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.helpers.gan_runs", "tests.helpers.artifacts", "boto3.session", "pytest"])


def pool(size: int) -> Pool:
    """Return a pool of processes with the environment of this one as it is now."""
    return PROCESSES.Pool(size, _take_environment, (dict(os.environ),))


def _take_environment(variables: dict[str, str]) -> None:
    os.environ.update(variables)


def freeze(pid: int) -> None:
    """Stop a process (SIGSTOP), and return when it stands still, which is some time after the signal was sent."""
    os.kill(pid, signal.SIGSTOP)
    while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
        time.sleep(0.01)
