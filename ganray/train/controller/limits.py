"""Time limits of Ray Train's controller: for a worker that does not answer, for ranks that wait for one another, and for itself.

Ray Train's own waits for workers to start have none, so the process ends itself, and the driver starts another. The driver in turn
counts a controller that gives no sign of life as dead.
"""

import contextlib
import logging
import os
import threading
import time
from collections.abc import Iterator
from typing import Any

import ray
from ray.train.v2._internal.execution.callback import ControllerCallback, WorkerGroupCallback

from ganray.train.progress import CONTROLLER

logger = logging.getLogger(__name__)

SIGN_EVERY_S = 5.0  # between the controller's signs of life
MAX_LOOK_S = 2.0  # that one look of the driver counts for
VARIABLES = ("RAY_TRAIN_WORKER_HEALTH_CHECK_TIMEOUT_S", "RAY_TRAIN_COLLECTIVE_TIMEOUT_S")

ROOM_TIMEOUT = ("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", "60")  # after which Ray Train looks for room again, and its default


class Limits(ControllerCallback, WorkerGroupCallback):
    """Sets the limits of Ray Train in its controller's process, and limits what has none there. Its own variables win."""

    def __init__(self, worker_timeout_s: float, collective_timeout_s: float, progress_actor: Any) -> None:
        self.worker_timeout_s, self.collective_timeout_s, self.progress_actor = worker_timeout_s, collective_timeout_s, progress_actor
        self.starting_since: float | None = None  # by this process's clock, while workers are started

    def after_controller_start(self, train_run_context: Any) -> None:
        """Set the variables, which are read when workers are started, and begin to watch."""
        for name, seconds in zip(VARIABLES, (self.worker_timeout_s, self.collective_timeout_s), strict=True):
            os.environ.setdefault(name, str(seconds))
        threading.Thread(target=self._watch, name="limits", daemon=True).start()

    @contextlib.contextmanager
    def on_worker_group_start(self) -> Iterator[None]:
        """Workers are being started, once there is room, for which there is a limit of its own."""
        self.starting_since = time.monotonic()
        try:
            yield
        except BaseException:
            self.starting_since = None
            raise

    def after_worker_group_training_start(self, worker_group: Any) -> None:
        """All workers have started."""
        self.starting_since = None

    def _watch(self) -> None:
        limit_s = self.collective_timeout_s + float(os.environ.get(*ROOM_TIMEOUT))
        while True:
            self.progress_actor.push.remote({CONTROLLER: time.time()})
            since = self.starting_since
            if since is not None and time.monotonic() - since > limit_s:
                message = f"workers did not start within {limit_s:g} s"
                ray.wait([self.progress_actor.lose.remote(message, time.time())], timeout=SIGN_EVERY_S)
                os._exit(1)
            time.sleep(SIGN_EVERY_S)


class ControllerWatch:
    """Ends, from the driver, a controller's process that has given no sign of life for a while after others."""

    def __init__(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s + 2 * SIGN_EVERY_S
        self.sign: float | None = None
        self.silent_s, self.looked_at = 0.0, time.monotonic()

    def look(self, sign: float | None, controller: Any) -> None:
        """Take in the time of the newest sign, and the controller's actor, None between two.

        Of the time since the last call, in which this process may have been stopped, little counts.
        """
        now = time.monotonic()
        self.silent_s += min(now - self.looked_at, MAX_LOOK_S)
        self.looked_at = now
        if sign is None or controller is None or sign != self.sign:
            self.sign, self.silent_s = sign, 0.0
        elif self.silent_s > self.timeout_s:
            logger.warning("the process that starts the workers did not answer for %.0f s", self.silent_s)
            self.silent_s = 0.0
            ray.kill(controller)
