"""TensorBoard: event files below `<storage>/tensorboard`, on S3 a file each minute.

Each start writes the whole history from the record into a new file, and tells TensorBoard to drop what it has read. So nothing depends on
where an earlier process died. The files of the start before stay, since TensorBoard may be reading them; older ones go.
"""

import contextlib
import io
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import yaml
from PIL import Image

from ganray.cluster.scratch import scratch_folder
from ganray.runs.metrics_log import Record
from ganray.storage import ObjectStore
from ganray.storage.local import LocalStore
from ganray.track.news import Position, metrics_of
from ganray.track.subject import Subject, hyperparameters


@contextlib.contextmanager
def _without_torch() -> Iterator[None]:
    """Have imports in the block find no torch, unless it is imported already."""
    is_hidden = sys.modules.setdefault("torch", None) is None  # type: ignore[arg-type]  # None: no such module
    try:
        yield
    finally:
        if is_hidden:
            del sys.modules["torch"]


with _without_torch():  # tensorboardX takes it where it is installed, two seconds and 200 MB, for tensors that nobody here has
    from tensorboardX import summary
    from tensorboardX.event_file_writer import EventsWriter
    from tensorboardX.proto.event_pb2 import Event, SessionLog
    from tensorboardX.proto.summary_pb2 import Summary

FOLDER = "tensorboard"
PREFIX = "events.out.tfevents."
UPLOAD_EVERY_S = 60.0  # where event files cannot be appended to
COLOURS = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}  # TensorBoard's number for a mode of Pillow


class TensorBoard:
    """Writes event files beside the runs of a storage."""

    def open(self, subject: Subject) -> "TensorBoardSession":
        """Begin a new event file of the subject's whole history."""
        return TensorBoardSession(subject, subject.run.storage.child(f"{FOLDER}/{subject.path}"))

    def close(self) -> None:
        """Do nothing: files are closed."""


class TensorBoardSession:
    """The event files of one run. `position` begins at nothing: all is written again."""

    def __init__(self, subject: Subject, store: ObjectStore) -> None:
        self.position, self.store, self.attempt = Position(), store, 0
        self.scratch = None if isinstance(store, LocalStore) else scratch_folder("tensorboard")
        self.folder = Path(store.root if isinstance(store, LocalStore) else str(self.scratch and self.scratch.name))
        self.uploaded_at, self.has_news = time.monotonic(), False
        self.start = time.time_ns()
        older = files_but_newest(store)
        self.writer = self._new_writer()
        self._restart_at(0)
        self._write_job(subject)
        for key in older:
            store.delete(key)

    def log(self, records: list[Record]) -> None:
        """Write scalars; those of a later attempt replace what the one before had from there on."""
        for record in records:
            attempt, images_seen = record["attempt"], record["images_seen"]
            if attempt > self.attempt:
                self.attempt = attempt
                self._restart_at(images_seen)
            values = [Summary.Value(tag=name, simple_value=value) for name, value in metrics_of(record).items()]
            self._write(Summary(value=values), step=images_seen, when=record.get("time"))
            self.position = self.position.after(record)

    def log_samples(self, images_seen: int, png: bytes) -> None:
        """Write a grid of samples."""
        with Image.open(io.BytesIO(png)) as image:
            found = Summary.Image(height=image.height, width=image.width, colorspace=COLOURS[image.mode], encoded_image_string=png)
        self._write(Summary(value=[Summary.Value(tag="samples", image=found)]), step=images_seen)
        self.position = self.position.after_samples(images_seen)

    def log_version(self, version: str) -> None:
        """Write a version's URI as text."""
        self._write(summary.text("version", version), step=self.position.count)
        self.position = self.position.after_version(version)

    def flush(self) -> None:
        """Flush the event file; on an object store, upload it now and then and begin another."""
        self.writer.flush()
        self.has_news = True
        if time.monotonic() - self.uploaded_at > UPLOAD_EVERY_S:
            self._upload()
            self.writer = self._new_writer()

    def close(self) -> None:
        """Close the event file."""
        self._upload()
        if self.scratch:
            self.scratch.cleanup()

    def _upload(self) -> None:
        self.writer.close()
        if self.scratch and self.has_news:
            for path in sorted(self.folder.iterdir()):
                self.store.upload(path, path.name)
                path.unlink()
        self.uploaded_at, self.has_news = time.monotonic(), False

    def _new_writer(self) -> EventsWriter:
        self.folder.mkdir(parents=True, exist_ok=True)
        return EventsWriter(str(self.folder / "events"), filename_suffix=f".{self.start}.{time.time_ns()}")

    def _restart_at(self, step: int) -> None:
        """Have TensorBoard drop what it has from a step on."""
        self.writer.write_event(Event(wall_time=time.time(), step=step, session_log=SessionLog(status=SessionLog.START)))

    def _write(self, values: Summary, *, step: int, when: float | None = None) -> None:
        self.writer.write_event(Event(wall_time=when or time.time(), step=step, summary=values))

    def _write_job(self, subject: Subject) -> None:
        """Write the job as text, and its fields as hyperparameters."""
        job = subject.run.job
        plain = job.model_dump(mode="json", exclude_none=True)
        self._write(summary.text("job", f"```\n{yaml.safe_dump(plain, sort_keys=False)}```"), step=0)
        for part in summary.hparams(hyperparameters(plain), {job.deciding_score[0]: 0.0}):
            self._write(part, step=0)
        self.writer.flush()
        self.has_news = True


def files_but_newest(store: ObjectStore) -> list[str]:
    """Return the keys of event files but for those of the newest start, which is named in each."""
    by_start: dict[int, list[str]] = {}
    for info in store.list(PREFIX):
        if written := re.search(r"\.(\d{19})\.\d{19}$", info.key):  # other programs' files are not of this run
            by_start.setdefault(int(written[1]), []).append(info.key)
    return [key for start, keys in by_start.items() if start != max(by_start) for key in keys]
