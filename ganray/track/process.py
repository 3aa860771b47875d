"""The tracking process, from its driver's side: started beside a run, told when the run has ended, and never waited for long.

A process of its own, since a tracker's package may hang, wait at exit, or take a core.
"""

import contextlib
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from ganray.config import Tracker
from ganray.runs.run import Run

logger = logging.getLogger(__name__)

FINISH = b"finish\n"
GRACE_S = 20.0  # for what is still to be sent when a run has ended


@contextlib.contextmanager
def tracking(run: Run, trackers: Sequence[Tracker]) -> Iterator[None]:
    """While the block runs, keep trackers up to date with a run, or with a sweep and its trials, by a process of its own."""
    if not trackers:
        yield
        return
    process = TrackingProcess(run, trackers, grace_s=GRACE_S)
    try:
        yield
    finally:
        process.finish()


class TrackingProcess:
    """A running `python -m ganray.track`: it ends with this process, and what it prints is logged."""

    def __init__(self, run: Run, trackers: Sequence[Tracker], *, grace_s: float) -> None:
        self.run, self.grace_s = run, grace_s
        command = [sys.executable, "-m", "ganray.track"]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
        )
        self._write((json.dumps(describe(run, trackers)) + "\n").encode())
        self.reader = threading.Thread(target=self._log_lines, name="tracking", daemon=True)
        self.reader.start()

    def finish(self) -> None:
        """Have what is still missing sent, but do not wait for long."""
        self._write(FINISH)
        try:
            status = self.process.wait(self.grace_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        self.reader.join(1.0)
        with contextlib.suppress(BrokenPipeError):
            self._stdin.close()
        if status != 0:
            folder, storage = self.run.folder, self.run.storage.uri
            logger.warning(
                "not all trackers have all of %s; `ganray track %s --storage '%s'` sends the rest", self.run.name, folder, storage
            )

    @property
    def _stdin(self) -> Any:
        return self.process.stdin

    def _write(self, data: bytes) -> None:
        with contextlib.suppress(BrokenPipeError):  # it has died, which its status tells at the end
            self._stdin.write(data)
            self._stdin.flush()

    def _log_lines(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            logger.warning("%s", line.decode(errors="replace").rstrip())


def describe(run: Run, trackers: Sequence[Tracker]) -> dict[str, Any]:
    """Return what the tracking process needs, as plain data."""
    return {
        "storage": run.storage.uri,
        "folder": run.folder,
        "token": run.fence.token if run.fence else None,
        "trackers": [tracker.model_dump(mode="json") for tracker in trackers],
    }
