"""The journal of a sweep: an ordered, append-only log of what Ray Tune's searcher and scheduler met and decided.

It is all that a sweep has to remember (event sourcing). A resume replays it: a fresh searcher and scheduler meet the same events in
the same order, so that both stand where they stood. What was decided but not written is decided again.
"""

import json
import logging
import threading
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, ClassVar

from ganray.errors import DataError
from ganray.runs.lock import Fence
from ganray.storage import MissingObject, ObjectStore
from ganray.sweep.pieces import Outcome
from ganray.sweep.records import Exploit, Params

logger = logging.getLogger(__name__)

FOLDER = "journal"
SEGMENT = 128  # events an object: what is rewritten at each event, where a store cannot append


class Decision(StrEnum):
    """What Tune's scheduler does with a trial that has reported. `NOOP`: it did it already, as async PBT does by an exploit."""

    CONTINUE = "CONTINUE"
    PAUSE = "PAUSE"
    STOP = "STOP"
    NOOP = "NOOP"


@dataclass(frozen=True)
class Suggested:
    """The searcher suggested a new trial."""

    kind: ClassVar[str] = "suggested"
    trial: int
    params: Params
    at: float


@dataclass(frozen=True)
class Reported:
    """A trial's piece was reported to searcher and scheduler, who decided, and made others of a population clone and explore."""

    kind: ClassVar[str] = "reported"
    trial: int
    index: int
    budget: int
    outcome: Outcome
    decision: Decision
    exploits: dict[int, Exploit]  # by the trial that clones
    at: float


@dataclass(frozen=True)
class Promoted:
    """The scheduler let a trial go on that was paused at a rung."""

    kind: ClassVar[str] = "promoted"
    trial: int
    at: float


@dataclass(frozen=True)
class Cloned:
    """The exploits of the last report have been carried out in the store. An annotation: it follows from what came before."""

    kind: ClassVar[str] = "cloned"
    at: float


@dataclass(frozen=True)
class Stopped:
    """The scheduler gave up a paused trial. An annotation."""

    kind: ClassVar[str] = "stopped"
    trial: int
    at: float


@dataclass(frozen=True)
class WorkersFailed:
    """The workers that trained a trial died. An annotation."""

    kind: ClassVar[str] = "workers_failed"
    trial: int
    reason: str
    at: float


Event = Suggested | Reported | Promoted | Cloned | Stopped | WorkersFailed
KINDS: dict[str, type[Event]] = {event.kind: event for event in (Suggested, Reported, Promoted, Cloned, Stopped, WorkersFailed)}
ANNOTATIONS = (Cloned, Stopped, WorkersFailed)  # which a replay does not wait for


class Journal:
    """The events in a sweep's store, and how many of them a replay has met. Appending is thread-safe; replaying is for one thread."""

    def __init__(self, store: ObjectStore, fence: Fence | None = None) -> None:
        self.store, self.fence = store, fence
        self.events = read_events(store)
        self.cursor, self.known = 0, len(self.events)
        self.met = -1  # where the event stands that was met or written last, annotations apart
        self.lock = threading.Lock()

    @property
    def expected(self) -> Event | None:
        """The event that a replay has to meet next, None once all have been met."""
        while self.cursor < self.known and isinstance(self.events[self.cursor], ANNOTATIONS):
            self.cursor += 1
        return self.events[self.cursor] if self.cursor < self.known else None

    def meet(self) -> None:
        """Count the expected event as met."""
        assert self.expected is not None
        self.met, self.cursor = self.cursor, self.cursor + 1

    def lacks(self, annotation: type[Event]) -> bool:
        """Return whether the journal ends with the event met last, or with annotations of it that are not of this kind."""
        following = self.events[self.met + 1 :]
        return all(isinstance(event, ANNOTATIONS) and not isinstance(event, annotation) for event in following)

    def append(self, event: Event) -> None:
        """Write an event down before anything follows from it. Raises `RunLocked` if another driver has taken the sweep over."""
        with self.lock:
            if self.fence:
                self.fence.check()
            segment = len(self.events) // SEGMENT
            self.events.append(event)
            self.met = self.met if isinstance(event, ANNOTATIONS) else len(self.events) - 1
            lines = [_to_line(known) for known in self.events[segment * SEGMENT :]]
            self.store.write(_segment_key(segment), "".join(lines).encode())


def read_events(store: ObjectStore) -> list[Event]:
    """Return a sweep's events in order. A torn end, which a copy may have, is dropped; raises `DataError` for other damage."""
    events: list[Event] = []
    segment = 0
    while lines := _read_lines(store, segment):
        for number, line in enumerate(lines):
            try:
                events.append(_from_line(line))
            except (ValueError, KeyError, TypeError) as error:
                if number < len(lines) - 1 or _read_lines(store, segment + 1):
                    problem = f"{_segment_key(segment)} in {store.uri} is damaged in line {number + 1}"
                    raise DataError("storage", problem, "restore it, or start a sweep of another name") from error
                logger.warning("the journal's last event is torn; the sweep goes on from the one before")
        segment += 1
    return events


def _read_lines(store: ObjectStore, segment: int) -> list[bytes]:
    try:
        return store.read(_segment_key(segment)).splitlines()
    except MissingObject:
        return []


def _segment_key(segment: int) -> str:
    return f"{FOLDER}/{segment:06d}.jsonl"


def _to_line(event: Event) -> str:
    return json.dumps({"kind": event.kind, **asdict(event)}) + "\n"


def _from_line(line: bytes) -> Event:
    data: dict[str, Any] = json.loads(line)
    event = KINDS[data.pop("kind")]
    if event is Reported:
        data["outcome"] = Outcome.from_json(data["outcome"])
        data["decision"] = Decision(data["decision"])
        data["exploits"] = {int(trial): exploit for trial, exploit in data["exploits"].items()}
    return event(**data)
