"""The interface of trackers, and what all of them do with a run's news: send it in order, and count it once."""

from collections.abc import Iterable
from typing import Protocol

from ganray.runs.metrics_log import Record
from ganray.storage import MissingObject, ObjectInfo
from ganray.track.news import NewsReader, Position
from ganray.track.subject import Subject

MAX_RECORDS = 40  # of one request


class Session(Protocol):
    """A run as a tracker has it. `position` is how far it was sent, and grows with each call that returns; others are made again."""

    position: Position

    def log(self, records: list[Record]) -> None:
        """Send records, in order."""

    def log_samples(self, images_seen: int, png: bytes) -> None:
        """Send a grid of samples, a PNG file."""

    def log_version(self, version: str) -> None:
        """Send the URI of the version that the run was published as."""

    def flush(self) -> None:
        """Make what was sent visible."""

    def close(self) -> None:
        """End the session: the run has ended, or goes on another time."""


class Tracker(Protocol):
    """A kind of tracker with its settings."""

    def open(self, subject: Subject) -> Session:
        """Begin a run, or go on with the one that the tracker has of this subject."""

    def close(self) -> None:
        """Wait until what sessions that are closed have sent is written."""


class Sender:
    """Sends a session all that its run's record has."""

    def __init__(self, subject: Subject, session: Session) -> None:
        self.subject, self.session = subject, session
        self.reader = NewsReader(subject.run, session.position)

    def send(self, infos: Iterable[ObjectInfo]) -> None:
        """Send what a listing of the run has and the tracker does not. Raises what the tracker does, and goes on there the next time."""
        if not self.reader.look(infos):
            return
        records, grids = self.reader.records, self.reader.grids
        while records:
            chunk = [records[place] for place in range(min(len(records), MAX_RECORDS))]
            self.session.log(chunk)
            for _ in chunk:
                records.popleft()
        while grids:
            try:
                png = self.subject.run.store.read(grids[0].key)
            except MissingObject:
                png = None
            if png:
                self.session.log_samples(grids[0].images_seen, png)
            grids.popleft()
        if self.reader.version and self.reader.version != self.session.position.version:
            self.session.log_version(self.reader.version)
        self.reader.version = None
        self.session.flush()
