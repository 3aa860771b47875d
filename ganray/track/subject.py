"""What is tracked: a run, or a sweep and each of its trials, which trackers show as one group."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ganray.runs.compare import flatten
from ganray.runs.run import Run
from ganray.storage import ObjectInfo
from ganray.track.news import is_created
from ganray.track.stored import tracking_id

TRIALS = "trials/"
MAX_NAME = 250  # characters that MLflow takes
NOT_TOLD = ("name", "storage", "track", "sweep")  # sections of a job that are no hyperparameters


@dataclass(frozen=True)
class Subject:
    """A run that trackers know by `id`, and show by `name`. `group` is the sweep that it is a trial of."""

    run: Run
    id: str
    name: str
    group: "Subject | None" = None

    @property
    def path(self) -> str:
        """The name below its group's."""
        return f"{self.group.path}/{self.name}" if self.group else self.name


class Subjects:
    """Finds what is to be tracked below a folder by one listing."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.known: dict[str, Subject] = {}

    def find(self) -> Iterator[tuple[Subject, list[ObjectInfo]]]:
        """Yield the run, then trials that it has as a sweep, each with a listing of its own store, once they were created."""
        own, below = list[ObjectInfo](), defaultdict[str, list[ObjectInfo]](list)
        for info in self.run.store.list(""):
            trial, _, key = info.key.removeprefix(TRIALS).partition("/")
            if info.key.startswith(TRIALS):
                below[trial].append(ObjectInfo(key, info.size, info.modified))
            else:
                own.append(info)
        if not is_created(own):
            return
        group = self._subject("", None)
        yield group, own
        for trial, infos in sorted(below.items()):
            if is_created(infos):
                yield self._subject(trial, group), infos

    def _subject(self, trial: str, group: Subject | None) -> Subject:
        if trial not in self.known:
            folder = f"{self.run.folder}/{TRIALS}{trial}" if trial else self.run.folder
            run = Run(self.run.storage, folder, fence=self.run.fence)
            self.known[trial] = Subject(run, tracking_id(run), run.name, group)
        return self.known[trial]


def hyperparameters(job: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a job by their dotted paths: numbers, truth values and texts as they are, others as text."""
    told = {name: value for name, value in job.items() if name not in NOT_TOLD}
    return {path: value if isinstance(value, bool | int | float | str) else str(value) for path, value in flatten(told).items()}


def param_names(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields by names that every tracker takes: a table's columns are part of paths, and may be called anything.

    Of two that would have the same name, the first stays.
    """
    named: dict[str, Any] = {}
    for path, value in fields.items():
        named.setdefault(re.sub(r"[^\w.\- ]", "_", path, flags=re.ASCII)[:MAX_NAME], value)
    return named
