"""What runs a storage has, and how each stands, as `ganray runs` shows them: from listings, manifests and the lock, no training state."""

import re
from dataclasses import asdict, dataclass
from typing import Any

from ganray.config.fields import NAME_CHARACTERS
from ganray.errors import ConfigError, GanrayError
from ganray.runs.checkpoint import FOLDER, status_of
from ganray.runs.event_log import recoveries_in_words
from ganray.runs.lock import read_holder
from ganray.runs.metrics_log import PARTS, newest
from ganray.runs.run import JOB, Run
from ganray.storage import ObjectStore

NAME = r"[a-z0-9][a-z0-9._-]{0,63}"
RECORDS = re.compile(rf"(runs|sweeps)/{NAME}|sweeps/{NAME}/trials/[0-9]+")


@dataclass(frozen=True)
class RunOverview:
    """One run in a listing. `status` is a `RunStatus`, or "unreadable".

    `images_seen` and `updated` (Unix seconds) are those of its newest metrics or checkpoint, and `images_per_s` the rate at that time.
    `driver` is `host:process` while a driver holds its lock, else None; an unfinished run without one goes on by its command.
    """

    name: str
    status: str
    images_seen: int = 0
    total_images: int = 0
    metric: str | None = None
    score: float | None = None
    last_score: float | None = None
    images_per_s: float | None = None
    updated: float | None = None
    driver: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


def list_runs(storage: ObjectStore) -> list[RunOverview]:
    """Return an overview of every run in a storage, by name."""
    keys = (info.key.split("/") for info in storage.list("runs/"))
    names = sorted({parts[1] for parts in keys if len(parts) == 3 and parts[2] == JOB})
    return [summarise(Run(storage, f"runs/{name}")) for name in names]


def summarise(run: Run) -> RunOverview:
    """Return an overview of one run; what cannot be read of it is left out."""
    try:
        job, checkpoint = run.job, run.checkpoints.latest()
    except GanrayError:
        return RunOverview(run.name, "unreadable", driver=_driver(run))
    best, driver = checkpoint.progress.best if checkpoint else None, _driver(run)
    images_seen, metric = checkpoint.images_seen if checkpoint else 0, best.protocol.metric if best else None
    records = newest(run.store, ("train", "score"))
    line, scores = records.get("train", {}), records.get("score", {})
    folders = [PARTS, *([f"{FOLDER}/{checkpoint.name}/"] if checkpoint else [])]
    return RunOverview(
        name=run.name,
        status=status_of(checkpoint, job.train).value,
        images_seen=max(images_seen, line.get("images_seen", 0)) if driver else images_seen,
        total_images=job.train.total_images,
        metric=metric,
        score=best.score if best else None,
        last_score=scores.get(metric) if metric else None,
        images_per_s=line.get("time/images_per_s"),
        updated=max((info.modified for folder in folders for info in run.store.list(folder)), default=None),
        driver=driver,
    )


def existing_run(storage: ObjectStore, name: str) -> Run:
    """Return a run that was created. Raises `ConfigError` if there is none of that name."""
    run = Run(storage, f"runs/{name}")
    if not run.exists():
        known = ", ".join(overview.name for overview in list_runs(storage)) or "none yet"
        raise ConfigError("NAME", f"there is no run {name!r} in {storage.uri}", f"its runs: {known}")
    return run


def describe_run(storage: ObjectStore, name: str) -> dict[str, Any]:
    """Return what there is to know of a run, by name and in reading order. Raises `ConfigError` if there is none of that name."""
    run = existing_run(storage, name)
    job, checkpoint, overview = run.job, run.checkpoints.latest(), summarise(run)
    progress = checkpoint.progress if checkpoint else None
    facts: dict[str, Any] = {
        "run": run.name,
        "uri": run.uri,
        "status": overview.status,
        "images": f"{overview.images_seen:,} of {overview.total_images:,}",
        "trained": f"{progress.trained_s:,.0f} s" if progress else "0 s",
        "rollbacks": progress.num_rollbacks if progress else 0,
        "checkpoints": ", ".join(run.checkpoints.names()) or "none",
        "driver": overview.driver or "none",
        "dataset": run.dataset.uri,
        "model": job.model_name,
    }
    if progress and progress.best:
        facts |= {"best at": f"{progress.best.images_seen:,} images", "scores": progress.best.scores}
    events = run.events()
    return facts | {"recoveries": recoveries_in_words(events), "events": [event.to_json() for event in events]}


def _driver(run: Run) -> str | None:
    holder = read_holder(run.store)
    return f"{holder.get('host')}:{holder.get('pid')}" if holder else None


def find_folder(storage: ObjectStore, name: str) -> str:
    """Return the folder of a run or sweep in a storage. Raises `ConfigError` unless a name is that of one of them."""
    if RECORDS.fullmatch(name):
        found = [name] if _exists(storage, name) else []
    elif re.fullmatch(NAME, name):
        found = [folder for folder in (f"runs/{name}", f"sweeps/{name}") if _exists(storage, folder)]
    else:
        raise ConfigError("NAME", f"invalid name {name!r}", f"use {NAME_CHARACTERS}, or a folder as sweeps/NAME/trials/0000")
    if not found:
        raise ConfigError(
            "NAME", f"there is no run or sweep {name!r} in {storage.uri}", "name one that `ganray runs list` shows, or a sweep"
        )
    if len(found) > 1:
        raise ConfigError("NAME", f"a run and a sweep are named {name!r}", f"say {' or '.join(found)}")
    return found[0]


def _exists(storage: ObjectStore, folder: str) -> bool:
    key = f"{folder}/{JOB}"
    return any(info.key == key for info in storage.list(key))
