"""The metrics uploader of rank 0: records reach the run's record every few seconds, from a thread, so that training never waits for it."""

import logging
import threading
from collections import deque
from dataclasses import dataclass, field

from ganray.errors import GanrayError
from ganray.gan.state import GanState
from ganray.runs.metrics_log import Record, part_name
from ganray.runs.run import Run

logger = logging.getLogger(__name__)

UPLOAD_EVERY_S = 10.0
MAX_RECORDS = 500  # of a part, which is written again as it grows


@dataclass
class Part:
    """Records of one part of the log, of which the first `num_uploaded` are in the store."""

    name: str
    records: list[Record] = field(default_factory=list)
    num_uploaded: int = 0


class MetricsUploader(threading.Thread):
    """Uploads parts of the metrics log. What an outage kept back is tried again, and in any case before the next checkpoint."""

    def __init__(self, run: Run, state: GanState, *, every_s: float = UPLOAD_EVERY_S) -> None:
        super().__init__(name="metrics upload", daemon=True)
        self.run_record, self.every_s = run, every_s
        self.parts = deque([Part(part_name(state.attempt, state.images_seen))])
        self.guard, self.uploading, self.closed = threading.Lock(), threading.Lock(), threading.Event()

    def add(self, record: Record) -> None:
        """Take a record, without waiting for an upload."""
        with self.guard:
            self.parts[-1].records.append(record)
            is_full = len(self.parts[-1].records) >= MAX_RECORDS
        if is_full:
            self.begin_part(record["attempt"], record["images_seen"])

    def begin_part(self, attempt: int, images_seen: int) -> None:
        """Put further records in another part, as after a checkpoint: a replay from there on writes that part anew."""
        with self.guard:
            self.parts.append(Part(part_name(attempt, images_seen)))

    def upload(self) -> None:
        """Upload what is not in the store yet."""
        with self.uploading:
            with self.guard:
                parts = list(self.parts)
            for part in parts:
                records = list(part.records)
                if len(records) > part.num_uploaded:
                    self.run_record.write_metrics(part.name, records)
                    part.num_uploaded = len(records)
            with self.guard:
                for _ in parts[:-1]:  # nothing is added to them any more
                    self.parts.popleft()

    def run(self) -> None:
        """Upload every few seconds until this is closed."""
        while not self.closed.wait(self.every_s):
            try:
                self.upload()
            except (GanrayError, OSError) as error:
                logger.warning("metrics could not be written (%s); it will be tried again", error)

    def close(self) -> None:
        """Upload the rest."""
        self.closed.set()
        self.upload()
