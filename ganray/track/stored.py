"""What a run's record keeps for experiment trackers: an identity over all restarts, and how far a tracker was sent."""

import json
import uuid
from typing import Any

from ganray.runs.run import Run
from ganray.storage import MissingObject

IDENTITY = "tracking.json"
POSITIONS = "tracking/"


def tracking_id(run: Run) -> str:
    """Return the run's identity: made once, and new for a run that takes the name of one that was deleted."""
    if not run.store.list(IDENTITY):
        run.check_fence()
        run.store.write_if_absent(IDENTITY, json.dumps({"id": uuid.uuid4().hex}).encode())
    return str(json.loads(run.store.read(IDENTITY))["id"])


def read_position(run: Run, kind: str) -> dict[str, Any] | None:
    """Return how far the tracker of a kind was sent, plain data; None if it never was."""
    try:
        position: dict[str, Any] = json.loads(run.store.read(f"{POSITIONS}{kind}.json"))
    except MissingObject:
        return None
    return position


def write_position(run: Run, kind: str, position: dict[str, Any]) -> None:
    """Write down how far the tracker of a kind was sent."""
    run.check_fence()
    run.store.write(f"{POSITIONS}{kind}.json", json.dumps(position).encode())
