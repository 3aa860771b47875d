"""Keeping a tracker up to date with a run, or with a sweep and its trials; and what is needed to have it at all."""

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec

from ganray.config import MlflowTracker, TensorBoardTracker, WandbTracker
from ganray.config import Tracker as Config
from ganray.errors import ConfigError, GanrayError, RunLocked, TrackerError, printable, without_credentials
from ganray.runs.run import Run
from ganray.storage import ObjectInfo
from ganray.track.session import Sender, Tracker
from ganray.track.subject import Subjects

logger = logging.getLogger(__name__)

POLL_S = 5.0
MAX_PAUSE_S = 60.0  # between tries of a tracker that fails
IDLE_S = 120.0  # without news, after which a trial is closed, until it goes on
PACKAGES = {"mlflow": "mlflow", "wandb": "wandb"}  # what trackers import that ganray does not install by itself


def check_trackers(trackers: Sequence[Config]) -> None:
    """Raise `ConfigError` for a tracker whose package is missing, naming ganray's extra, or whose files would not last."""
    for tracker in trackers:
        if isinstance(tracker, MlflowTracker):
            check_lasting(tracker)
        if tracker.kind in PACKAGES and find_spec(PACKAGES[tracker.kind]) is None:
            raise ConfigError("track", f"{tracker.kind} needs a package that is not installed", f"pip install 'ganray[{tracker.kind}]'")


def check_lasting(tracker: MlflowTracker) -> None:
    """Raise `ConfigError` for a folder that is relative inside a Ray job, whose working directory vanishes: MLflow's default is one."""
    uri = tracker.uri or os.environ.get("MLFLOW_TRACKING_URI", "")
    if os.environ.get("RAY_JOB_CONFIG_JSON_ENV_VAR") and "://" not in uri and uri != "databricks" and not os.path.isabs(uri):
        named = f"{uri} is relative" if uri else "MLFLOW_TRACKING_URI is not set, so that MLflow takes a relative folder"
        problem = f"{named}, and a Ray job's working directory vanishes"
        raise ConfigError("track.uri", problem, "name a server, as http://host:5000, or an absolute folder")


def build_tracker(config: Config) -> Tracker:
    """Return the tracker of a section of the job. Raises what its package raises."""
    if isinstance(config, MlflowTracker):
        from ganray.track.mlflow import Mlflow

        return Mlflow(config)
    if isinstance(config, WandbTracker):
        from ganray.track.wandb import Wandb

        return Wandb(config)
    assert isinstance(config, TensorBoardTracker)
    from ganray.track.tensorboard import TensorBoard

    return TensorBoard()


class Sync:
    """Sends one tracker what is new below a run's folder, each time that it is asked to."""

    def __init__(self, config: Config, run: Run) -> None:
        self.config, self.subjects = config, Subjects(run)
        self.tracker: Tracker | None = None
        self.senders: dict[str, Sender] = {}  # by id
        self.changed: dict[str, tuple[frozenset[ObjectInfo], float]] = {}  # by id, what a listing had, and since when

    def send(self) -> None:
        """Send all that there is. Raises what the tracker raises; the next call goes on from there."""
        self.tracker = self.tracker or build_tracker(self.config)
        for subject, infos in self.subjects.find():
            listed, now = frozenset(infos), time.monotonic()
            before, since = self.changed.get(subject.id, (None, now))
            if before == listed and subject.id not in self.senders:  # closed, and still as it was then
                continue
            if subject.id not in self.senders:
                self.senders[subject.id] = Sender(subject, self.tracker.open(subject))
            self.senders[subject.id].send(infos)
            self.changed[subject.id] = (listed, since if before == listed else now)
            if subject.group and before == listed and now - since > IDLE_S:
                self.senders.pop(subject.id).session.close()

    def close(self) -> None:
        """End all sessions."""
        while self.senders:
            self.senders.popitem()[1].session.close()
        if self.tracker:
            self.tracker.close()


class SyncThread(threading.Thread):
    """Keeps one tracker up to date until it is told to finish. What goes wrong is said once, and tried again."""

    def __init__(self, config: Config, run: Run, report: Callable[[str], None], *, poll_s: float = POLL_S) -> None:
        super().__init__(name=f"track {config.kind}", daemon=True)
        self.kind, self.sync, self.report, self.poll_s = config.kind, Sync(config, run), report, poll_s
        self.finishing = threading.Event()
        self.is_complete = False  # whether the tracker has all that the run's record has

    def run(self) -> None:
        """Send what is new every few seconds; when finishing, once more."""
        failures = 0
        while True:
            is_last = self.finishing.is_set()
            failures = 0 if self._try(failures, is_last=is_last) else failures + 1
            if is_last:
                break
            self.finishing.wait(min(self.poll_s * 2**failures, MAX_PAUSE_S) if failures else self.poll_s)
        self.is_complete = failures == 0

    def _try(self, failures: int, *, is_last: bool) -> bool:
        """Send what is new, and close all sessions if it is the last time; return whether the tracker has all of it."""
        try:
            self.sync.send()
            if is_last:
                self.sync.close()
        except RunLocked:  # of which the driver tells
            return False
        except Exception as error:  # trackers' packages raise what they like, and training goes on
            if failures == 0:
                self.report(f"{self.kind} cannot be told of the run ({one_line(error)}); training goes on, and it will be told later")
            return False
        if failures:
            self.report(f"{self.kind} has been told of the run")
        return True


def send_all(configs: Sequence[Config], run: Run) -> None:
    """Send trackers all that a run's record has and they do not. Raises `TrackerError` for one that does not take it."""
    for config in configs:
        sync = Sync(config, run)
        try:
            sync.send()
            sync.close()
        except GanrayError:
            raise
        except Exception as error:  # trackers' packages raise what they like
            raise TrackerError("track", f"{config.kind} cannot be told of the run: {one_line(error)}", "see whether it answers") from error


def one_line(error: Exception) -> str:
    """Return an error's message in one line, without credentials, cut where it is long."""
    text = printable(without_credentials(" ".join(str(error).split()))) or type(error).__name__
    return text if len(text) <= 200 else f"{text[:200]}..."
