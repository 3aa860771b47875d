"""The record of a run: its job, dataset, checkpoints, metrics and result, below one folder that nothing else writes to.

A run of `ganray train` lies in `runs/<name>`, a trial of a sweep in `sweeps/<sweep>/trials/<number>`. Driver, workers, sweep
and command line ask it how a run stands. It can be pickled, with what it has read.
"""

import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from ganray.config import Job, check_job
from ganray.config.renamed import modernise
from ganray.data.dataset import PreparedDataset, load_recorded
from ganray.errors import ConfigError
from ganray.runs.checkpoints import Checkpoints
from ganray.runs.event_log import RunEvent, fold_events, read_events, write_event
from ganray.runs.lock import Fence
from ganray.runs.metrics_log import Record, read_log, write_log, write_part
from ganray.runs.trials import trial_name
from ganray.storage import MissingObject, ObjectInfo, ObjectStore

JOB, DATASET, RESULT = "job.json", "dataset.json", "result.json"


class Run:
    """One run's record in `folder` of a storage. With a `fence`, every write first checks that the driver still holds its lock."""

    def __init__(self, storage: ObjectStore, folder: str, *, fence: Fence | None = None) -> None:
        self.storage, self.folder, self.fence = storage, folder, fence
        self.store = storage.child(folder)
        self.name = folder.rpartition("/")[2]
        self._job: Job | None = None
        self._dataset: PreparedDataset | None = None
        self._seen: tuple[ObjectInfo, ...] = ()  # of the files that the job and dataset were read from

    @property
    def uri(self) -> str:
        """Where the run lies, as `open_store` takes it."""
        return self.store.uri

    @cached_property
    def checkpoints(self) -> Checkpoints:
        """The run's checkpoints, which are written under its fence, too."""
        return Checkpoints(self.name, self.store, self.check_fence)

    def trial(self, number: int) -> "Run":
        """Return the run of a trial, below the record of a sweep, which this is, and under its lock."""
        return Run(self.storage, f"{self.folder}/trials/{trial_name(number)}", fence=self.fence)

    def exists(self) -> bool:
        """Return whether the run was created. Raises `ConfigError` if it was and its job or dataset cannot be read any more."""
        if self._job is not None and self._dataset is not None:
            return True
        infos = self._creation_files()
        if len(infos) == 2 and self._read_creation(infos):
            return True
        if self.checkpoints.names():
            problem = f"{self.uri} has checkpoints but no readable {JOB} and {DATASET}"
            raise ConfigError("name", problem, "restore them, or use another name")
        return False

    @property
    def job(self) -> Job:
        """The job that the run was created with, every `auto` resolved."""
        if self._job is None and not self.exists():
            raise ConfigError("RUN", f"there is no run {self.name!r} in {self.storage.uri}", "name one that `ganray runs list` shows")
        assert self._job is not None
        return self._job

    @property
    def dataset(self) -> PreparedDataset:
        """The dataset that the run was created with, also where its source has changed since."""
        assert self._dataset is not None or self.exists()
        assert self._dataset is not None
        return self._dataset

    def record(self, job: Job, dataset: PreparedDataset) -> None:
        """Record the dataset of a new run, and its resolved job, or what a resume has changed of it."""
        if self._dataset is None:
            self._write_json(DATASET, {"folder": dataset.folder, "fingerprint": dataset.card.fingerprint})
        if job != self._job:
            self._write_json(JOB, job.model_dump(mode="json"))
        self._job = job
        self._dataset = dataset

    def write_start(self, files: Mapping[str, bytes]) -> None:
        """Write what a new run starts from, before its job and dataset, which make it one."""
        for key, data in files.items():
            self._write(key, data)

    def refresh(self) -> None:
        """Forget what was read of the job and dataset if another driver has written them since, before this one had the lock."""
        if self._creation_files() != self._seen:
            self._job = self._dataset = None

    def metrics(self) -> list[Record]:
        """Return the metrics log, in order of images seen."""
        return read_log(self.store)

    def events(self) -> list[RunEvent]:
        """Return the event log, by time."""
        return read_events(self.store)

    def result(self, limits: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the result of a run that has nothing left to do within some limits, as plain data."""
        try:
            stored = json.loads(self.store.read(RESULT))
        except (MissingObject, ValueError):
            return None
        return {**stored, "was_finished": True} if {key: stored.pop(key, None) for key in limits} == limits else None

    def write_samples(self, images_seen: int, files: Mapping[str, bytes]) -> None:
        """Write previews of samples: files' bytes by their suffixes."""
        for suffix, data in files.items():
            self._write(f"samples/{images_seen:012d}{suffix}", data)

    def write_metrics(self, part: str, records: list[Record]) -> None:
        """Write a part of the metrics log, in place of what was written of it before."""
        self.check_fence()
        write_part(self.store, part, records)

    def append_event(self, event: RunEvent) -> None:
        """Add an event to the event log, once however often it happens again."""
        self.check_fence()
        write_event(self.store, event)

    def fold_metrics(self) -> None:
        """Write the whole metrics log as one file."""
        self.check_fence()
        write_log(self.store)

    def fold_events(self) -> None:
        """Write the whole event log as one file."""
        self.check_fence()
        fold_events(self.store)

    def write_result(self, result: Mapping[str, Any], limits: Mapping[str, Any]) -> None:
        """Record how the run ended, as plain data, and within which limits."""
        self._write_json(RESULT, {**limits, **result})

    def check_fence(self) -> None:
        """Raise `RunLocked` if another driver has taken this one's lock."""
        if self.fence:
            self.fence.check()

    def _creation_files(self) -> tuple[ObjectInfo, ...]:
        return tuple(info for key in (JOB, DATASET) for info in self.store.list(key) if info.key == key)

    def _read_creation(self, infos: tuple[ObjectInfo, ...]) -> bool:
        """Read job and dataset, and return whether both could be read."""
        try:
            job, dataset = json.loads(self.store.read(JOB)), json.loads(self.store.read(DATASET))
        except (MissingObject, ValueError):
            return False
        self._job, self._seen = check_job(modernise(job)), infos
        self._dataset = load_recorded(self.storage, dataset["folder"], run=self.name)
        return True

    def _write_json(self, key: str, data: Any) -> None:
        self._write(key, (json.dumps(data, indent=1, allow_nan=False) + "\n").encode())

    def _write(self, key: str, data: bytes) -> None:
        self.check_fence()
        self.store.write(key, data)
