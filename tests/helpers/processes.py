"""Processes that tests start: forks of one that has imported torch and what tests of them share, which takes seconds, and once.

A first step of an optimizer imports torch._dynamo, which takes as long as torch. Ray stays out: its import starts a thread.
"""

import multiprocessing
import os
from multiprocessing.pool import Pool

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.helpers.gan_runs", "tests.helpers.artifacts", "torch._dynamo", "boto3.session", "pytest"])


def pool(size: int) -> Pool:
    """Return a pool of processes with the environment of this one as it is now."""
    return PROCESSES.Pool(size, _take_environment, (dict(os.environ),))


def _take_environment(variables: dict[str, str]) -> None:
    os.environ.update(variables)
