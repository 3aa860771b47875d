"""What a run's record has that a tracker was not sent: records of the metrics log in order, grids of samples, the published version.

How far a tracker was sent is a position that only grows: what a replay after a kill writes again lies behind it, and a rollback's
later attempt before it. So nothing is sent twice.
"""

import json
import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Self

from ganray.runs.event_log import PARTS as EVENTS
from ganray.runs.event_log import EventKind
from ganray.runs.metrics_log import PARTS, RECOVERY, Record
from ganray.runs.run import JOB, RESULT, Run
from ganray.storage import MissingObject, ObjectInfo

GRIDS = "samples/"
NOT_METRICS = {"images_seen", "attempt", "kind", "time", "protocol"}


@dataclass(frozen=True)
class Position:
    """How far a tracker was sent: by kind of record what `order_of` tells, images seen of the last grid, the version, and a count."""

    records: dict[str, tuple[int, int]] = field(default_factory=dict)
    samples: int = -1
    version: str | None = None
    count: int = 0

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Return what `to_json` wrote."""
        return cls(**{**data, "records": {kind: (place[0], place[1]) for kind, place in data["records"].items()}})

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return vars(self)

    def is_before(self, record: Record) -> bool:
        """Return whether a record is still to be sent."""
        return self.records.get(record["kind"], (-1, -1)) < order_of(record)

    def after(self, record: Record) -> "Position":
        """Return the position once a record was sent."""
        return replace(self, records={**self.records, record["kind"]: order_of(record)}, count=self.count + 1)

    def after_samples(self, images_seen: int) -> "Position":
        """Return the position once a grid was sent."""
        return replace(self, samples=images_seen, count=self.count + 1)

    def after_version(self, version: str) -> "Position":
        """Return the position once a version's URI was sent."""
        return replace(self, version=version)


@dataclass(frozen=True)
class Grid:
    """A grid of samples: images seen, and its key in the run's store."""

    images_seen: int
    key: str


class NewsReader:
    """Reads a run's record again and again, of its metrics those parts alone that have changed, and keeps what is still to be sent."""

    def __init__(self, run: Run, position: Position) -> None:
        self.run = run
        self.read: dict[str, tuple[int, float]] = {}  # size and time of what was read
        self.queued = position  # where the tracker will be once all of this is sent
        self.records: deque[Record] = deque()
        self.grids: deque[Grid] = deque()
        self.version: str | None = None

    def look(self, infos: Iterable[ObjectInfo]) -> bool:
        """Take in a listing of the run's store, and return whether there is anything to send."""
        changed = [info.key for info in infos if self._has_changed(info)]
        self._add_records([key for key in changed if key.startswith(PARTS)])
        for key in changed:
            if key.startswith(GRIDS) and key.endswith(".png"):
                self._add_grid(key)
            elif key == RESULT or (key.startswith(EVENTS) and EventKind.PUBLISH.value in key):
                self.version = json.loads(self.run.store.read(key)).get("version") or self.version
        return bool(self.records or self.grids or self.version)

    def _has_changed(self, info: ObjectInfo) -> bool:
        before, now = self.read.get(info.key), (info.size, info.modified)
        self.read[info.key] = now
        return before != now

    def _add_records(self, keys: Iterable[str]) -> None:
        found = [record for key in keys for record in self._lines(key) if self.queued.is_before(record) and metrics_of(record)]
        for record in sorted(found, key=lambda record: (record["attempt"], record["images_seen"], record["kind"])):
            if self.queued.is_before(record):  # parts that overlap, as after a replay, have it twice
                self.queued = self.queued.after(record)
                self.records.append(record)

    def _add_grid(self, key: str) -> None:
        images_seen = int(key.removeprefix(GRIDS).removesuffix(".png"))
        if images_seen > self.queued.samples:
            self.queued = self.queued.after_samples(images_seen)
            self.grids.append(Grid(images_seen, key))

    def _lines(self, key: str) -> list[Record]:
        try:
            return [json.loads(line) for line in self.run.store.read(key).splitlines()]
        except MissingObject:  # deleted since it was listed
            return []


def order_of(record: Record) -> tuple[int, int]:
    """Return what grows from record to record of a kind: (attempt, images seen), or of recoveries, which may be at the same place, time."""
    if record["kind"] == RECOVERY:
        return 0, int(record["time"] * 1000)
    return record["attempt"], record["images_seen"]


def metrics_of(record: Record) -> dict[str, float]:
    """Return the finite numbers of a record, by name."""
    numbers = {name: value for name, value in record.items() if name not in NOT_METRICS and isinstance(value, int | float)}
    return {name: float(value) for name, value in numbers.items() if math.isfinite(value)}


def is_created(infos: Iterable[ObjectInfo]) -> bool:
    """Return whether a listing is that of a run that was created."""
    return any(info.key == JOB for info in infos)
