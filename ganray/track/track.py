"""`ganray track`: trackers are told of a run or sweep that no driver holds, all that its record has."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from pydantic import TypeAdapter

from ganray.config import Tracker
from ganray.errors import ConfigError
from ganray.runs.lock import driver_lock
from ganray.runs.overview import find_folder
from ganray.runs.run import JOB, Run
from ganray.storage import open_store
from ganray.track.sync import check_trackers, send_all

TRACKER: TypeAdapter[Tracker] = TypeAdapter(Tracker)


class Told(NamedTuple):
    """The folder of what was tracked, and the kinds of the trackers that have all of it."""

    folder: str
    kinds: list[str]


def track(storage_uri: str, name: str, kinds: Sequence[str] = ()) -> Told:
    """Send trackers what they miss of a run or sweep: those of some kinds, or those that its job names.

    Raises `ConfigError` if there is none, `RunLocked` while a driver trains it and so tracks it, `TrackerError` for a tracker that fails.
    """
    storage = open_store(storage_uri)
    run = Run(storage, find_folder(storage, name))
    named = json.loads(run.store.read(JOB)).get("track", [])
    by_kind: dict[str, Any] = {tracker["kind"]: tracker for tracker in named}
    trackers = [TRACKER.validate_python(by_kind.get(kind, kind)) for kind in dict.fromkeys(kinds or by_kind)]
    if not trackers:
        raise ConfigError("NAME", f"the job of {name} names no tracker", "name one by --to tensorboard, mlflow or wandb")
    check_trackers(trackers)
    with driver_lock(run.store, run.name) as lock:
        run.fence = lock.fence
        send_all(trackers, run)
    return Told(run.folder, [tracker.kind for tracker in trackers])
