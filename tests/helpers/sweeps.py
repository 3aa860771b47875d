"""Small sweeps for tests, on a cluster that the tests of a module share, and what they left in their store."""

import contextlib
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ganray
from ganray.config import Job
from ganray.runs.checkpoint import read_checkpoint
from ganray.runs.trials import Trial
from ganray.storage import open_store
from ganray.sweep.result import SweepResult
from ganray.sweep.sweep import run_sweep
from ganray.train.reporter import LogReporter
from tests.helpers.runs import REPOSITORY, TINY, running

LR = "optimizer.generator.lr"
SMALL = [*TINY, "networks.width=8", "train.total_images=1280", "evaluate.every=640", "evaluate.num_samples=256", "workers=1"]
SMALL += ["train.checkpoint_every=640", "train.samples_every=100000", "train.log_every=320", "train.precision=float32"]
SMALL += [f"sweep.space.{LR}={{loguniform: [1e-4, 1e-2]}}", "sweep.finalists={num: 1, num_samples: 256}", "sweep.trials=2"]


class Watcher(LogReporter):
    """Calls `look` with the trials of a sweep a few times a second."""

    def __init__(self, look: Callable[[list[Trial]], None] | None = None) -> None:
        self.look = look
        self.most_running = 0

    def update(self, snapshot: list[Trial]) -> None:
        self.most_running = max(self.most_running, sum(trial.status == "running" for trial in snapshot))
        if self.look:
            self.look(snapshot)


def small_job(storage: Path, *overrides: str) -> Job:
    """Return the job of a small sweep."""
    return ganray.load_job(REPOSITORY / "jobs/quickstart.yaml", [*SMALL, f"storage={storage}", *overrides])


def sweep(storage: Path, *overrides: str, watcher: Watcher | None = None, address: str | None = None) -> SweepResult:
    """Return the result of a small sweep, run in this process."""
    return run_sweep(small_job(storage, *overrides), reporter=watcher or Watcher(), address=address)


@contextlib.contextmanager
def sweeping(storage: Path | str, *overrides: str) -> Iterator[subprocess.Popen[str]]:
    """Give a running small sweep of the command line; whatever is left of it afterwards is ended."""
    with running("sweep", "jobs/quickstart.yaml", *SMALL, f"storage={storage}", *overrides) as driver:
        yield driver


def records(sweep: Path) -> list[dict[str, Any]]:
    """Return the trials in a sweep's folder as they were last written."""
    path = sweep / "trials.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def checkpoints(sweep: Path, trial: int) -> list[str]:
    """Return the names of a trial's complete checkpoints, oldest first."""
    return sorted(path.parent.name for path in sweep.glob(f"trials/{trial:04d}/checkpoints/*/manifest.json"))


def state(sweep: Path, trial: int, checkpoint: str) -> dict[str, Any]:
    """Return a training state of a trial."""
    return read_checkpoint(open_store(sweep / f"trials/{trial:04d}"), checkpoint).state()


def within(seconds: float, function: Callable[[], Any]) -> Any:
    """Return what a function returns, and fail if it took longer than it may."""
    started = time.monotonic()
    result = function()
    assert time.monotonic() - started < seconds
    return result
