"""Where things of a run lie in its storage, and the files that say how it stands."""

import json
from typing import Any

from ganray.config import Job
from ganray.store import MissingObject, ObjectStore, child, open_store

JOB = "job.json"
RESULT = "result.json"
PARTS = "metrics/"


def run_store(storage: ObjectStore, name: str) -> ObjectStore:
    """Return the part of a storage that holds the run `name`."""
    return child(storage, f"runs/{name}")


def open_run(job: Job) -> ObjectStore:
    """Return the store of a job's run."""
    return run_store(open_store(job.storage), job.name)


def read_json(store: ObjectStore, key: str) -> dict[str, Any] | None:
    """Return an object as plain data, or None if it is not there or not whole."""
    try:
        return json.loads(store.read(key))
    except (MissingObject, ValueError):
        return None


def write_json(store: ObjectStore, key: str, data: Any) -> None:
    """Write plain data as readable JSON."""
    store.write(key, (json.dumps(data, indent=1, allow_nan=False) + "\n").encode())


def write_metrics_part(run: ObjectStore, records: list[dict[str, Any]]) -> None:
    """Write a stretch of metrics as a part of its own, since object stores cannot append; a replay replaces it."""
    if records:
        lines = "".join(json.dumps(record) + "\n" for record in records)
        run.write(f"{PARTS}{records[-1]['images_seen']:012d}.jsonl", lines.encode())


def read_metrics(run: ObjectStore) -> list[dict[str, Any]]:
    """Return a run's metrics, a record a line, in order of images seen; what a replay wrote twice is there once."""
    records = {}
    for info in run.list(PARTS):
        for line in run.read(info.key).splitlines():
            record = json.loads(line)
            records[record["images_seen"], record["kind"]] = record
    return [records[key] for key in sorted(records)]


def fold_metrics(run: ObjectStore) -> None:
    """Write all of a run's metrics as one `metrics.jsonl`."""
    run.write("metrics.jsonl", "".join(json.dumps(record) + "\n" for record in read_metrics(run)).encode())
