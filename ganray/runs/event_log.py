"""The event log of a run: what happened to it, and when. One small object an event, since object stores cannot append, and one file of all.

An event that follows from the run's progress, as a checkpoint does, is named after that: a replay after a kill writes it once more
under the same name, and so repeats nothing. What happens to processes is named after its time as well.
"""

import json
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

from ganray.storage import MissingObject, ObjectStore

PARTS = "events/"
LOG = "events.jsonl"
NUM_READERS = 8  # that read events at once, each of which is an object


class EventKind(StrEnum):
    """What happened. START: a driver begins or resumes; TRAINING: workers train from now on; MOVE: they were asked to start elsewhere.

    RECOVERY: training goes on after LOST_WORKER; RESIZE: by another number of workers than before.
    """

    START = "start"
    TRAINING = "training"
    CHECKPOINT = "checkpoint"
    LOST_WORKER = "lost_worker"
    MOVE = "move"
    RECOVERY = "recovery"
    RESIZE = "resize"
    ROLLBACK = "rollback"
    PUBLISH = "publish"
    END = "end"

    @property
    def follows_from_progress(self) -> bool:
        """Whether a replay makes the same event again."""
        return self in (EventKind.CHECKPOINT, EventKind.ROLLBACK, EventKind.PUBLISH)


@dataclass(frozen=True)
class RunEvent:
    """Something happened at a time (Unix seconds), when the run had seen some images in some attempt. `details` are plain data."""

    kind: EventKind
    images_seen: int
    attempt: int
    details: Mapping[str, Any] = field(default_factory=dict)
    time: float = field(default_factory=time.time)

    @property
    def name(self) -> str:
        """The name of its object."""
        when = "" if self.kind.follows_from_progress else f"-{int(self.time * 1000)}"
        return f"{self.attempt:03d}-{self.images_seen:012d}-{self.kind.value}{when}.json"

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Return what `to_json` wrote."""
        own = {"event", "images_seen", "attempt", "time"}
        details = {name: value for name, value in data.items() if name not in own}
        return cls(EventKind(data["event"]), data["images_seen"], data["attempt"], details, data["time"])

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {"time": self.time, "event": self.kind.value, "images_seen": self.images_seen, "attempt": self.attempt, **self.details}


def write_event(run: ObjectStore, event: RunEvent) -> None:
    """Write an event. The same one again is written once."""
    run.write_if_absent(PARTS + event.name, _line(event))


def read_events(run: ObjectStore, known: Iterable[RunEvent] = ()) -> list[RunEvent]:
    """Return a run's events, by time; those that are `known` are not read again."""
    events = {event.name: event for event in known or _read_folded(run)}
    missing = [info.key for info in run.list(PARTS) if info.key.removeprefix(PARTS) not in events]
    with ThreadPoolExecutor(NUM_READERS) as readers:
        for data in readers.map(run.read, missing):
            event = RunEvent.from_json(json.loads(data))
            events[event.name] = event
    return sorted(events.values(), key=lambda event: event.time)


def fold_events(run: ObjectStore) -> None:
    """Write all events as one `events.jsonl`."""
    run.write(LOG, b"".join(map(_line, read_events(run))))


def recoveries(events: Iterable[RunEvent]) -> dict[str, float]:
    """Return how often training was interrupted by something that died, for how many seconds, and how many images it trained again."""
    found = [event.details for event in events if event.kind == EventKind.RECOVERY]
    return {
        "recoveries": len(found),
        "seconds": sum(details.get("seconds", 0.0) for details in found),
        "images_again": sum(details.get("images_again", 0) for details in found),
    }


def recoveries_in_words(events: Iterable[RunEvent]) -> str:
    """Return recoveries and their cost as a phrase; how long training stood still is not known where the driver had died."""
    found = [event.details for event in events if event.kind == EventKind.RECOVERY]
    known = [details["seconds"] for details in found if "seconds" in details]
    number = f"{len(found):,}" if len(known) == len(found) else f"{len(found):,} ({len(found) - len(known):,} of the driver)"
    seconds = [f"{sum(known):,.0f} s without training"] if known or not found else []
    again = sum(details.get("images_again", 0) for details in found)
    return ", ".join([number, *seconds, f"{again:,} images trained again"])


def _read_folded(run: ObjectStore) -> list[RunEvent]:
    try:
        lines = run.read(LOG).splitlines()
    except MissingObject:
        return []
    return [RunEvent.from_json(json.loads(line)) for line in lines]


def _line(event: RunEvent) -> bytes:
    return (json.dumps(event.to_json(), allow_nan=False) + "\n").encode()
