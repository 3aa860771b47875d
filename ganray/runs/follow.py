"""Following a run by its record alone, from any machine: what its metrics and event logs have that was not there before."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from ganray.runs.event_log import NUM_READERS, RunEvent, read_events
from ganray.runs.lock import LEASE_S, read_holder
from ganray.runs.metrics_log import PARTS, Record, key_of
from ganray.runs.run import Run

SILENCE_S = 2 * LEASE_S  # of a driver, after which it counts as gone


class RunFollower:
    """Reads a run's logs again and again; of the parts, those alone that have changed."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.parts: dict[str, tuple[int, float]] = {}  # size and time of what was read
        self.keys: set[tuple[int, str, int, str]] = set()
        self.events: list[RunEvent] = []
        self.heard: tuple[str, float] | None = None  # what the lock held, and since when by this process's clock

    def poll(self) -> tuple[list[Record], list[RunEvent]]:
        """Return the records and the events that are new since the last call, in order."""
        known = {event.name for event in self.events}
        self.events = read_events(self.run.store, self.events)
        return list(self._new_records()), [event for event in self.events if event.name not in known]

    def is_driven(self) -> bool:
        """Return whether a driver holds the run's lock, and has renewed it of late."""
        holder = read_holder(self.run.store)
        if holder is None:
            return False
        if self.heard is None or self.heard[0] != str(holder):
            self.heard = str(holder), time.monotonic()
        return time.monotonic() - self.heard[1] < SILENCE_S

    def _new_records(self) -> Iterator[Record]:
        changed = []
        for info in self.run.store.list(PARTS):
            if self.parts.get(info.key) != (info.size, info.modified):
                self.parts[info.key] = (info.size, info.modified)
                changed.append(info.key)
        with ThreadPoolExecutor(NUM_READERS) as readers:
            for data in readers.map(self.run.store.read, changed):
                for line in data.splitlines():
                    record = json.loads(line)
                    if key_of(record) not in self.keys:
                        self.keys.add(key_of(record))
                        yield record
