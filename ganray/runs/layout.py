"""Where things of a run lie in its storage, and the files that say how it stands."""

import json
from typing import Any

from ganray.data.preparation.prepare import Prepared, load_dataset
from ganray.errors import ConfigError
from ganray.runs.checkpoint import checkpoint_names
from ganray.storage import MissingObject, ObjectStore, child

JOB = "job.json"
DATASET = "dataset.json"
RESULT = "result.json"
PARTS = "metrics/"


def run_store(storage: ObjectStore, name: str) -> ObjectStore:
    """Return the part of a storage that holds the run `name`."""
    return child(storage, f"runs/{name}")


def run_exists(run: ObjectStore) -> bool:
    """Return whether the run was created; raise `GanrayError` if it was and nobody can read any more as what."""
    if read_json(run, JOB) is not None and read_json(run, DATASET) is not None:
        return True
    if checkpoint_names(run):
        raise ConfigError("name", f"{run.uri} has checkpoints but no readable {JOB} and {DATASET}", "restore them, or use another name")
    return False


def run_dataset(run: ObjectStore, storage: ObjectStore, name: str) -> Prepared:
    """Return the dataset that a run was created with, whatever has become of its source since."""
    folder = read_json(run, DATASET)["folder"]
    try:
        return load_dataset(storage, folder)
    except MissingObject:
        raise ConfigError("storage", f"{folder}, the dataset of run {name!r}, is gone", "restore it, or use another name") from None


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
        last = records[-1]
        run.write(f"{PARTS}{last['attempt']:03d}-{last['images_seen']:012d}.jsonl", lines.encode())


def read_metrics(run: ObjectStore) -> list[dict[str, Any]]:
    """Return a run's metrics, a record a line, in order of images seen.

    What a replay wrote twice is there once, and a later attempt's stands in for that of an earlier one, but for events.
    """
    records = {}
    for info in run.list(PARTS):
        for line in run.read(info.key).splitlines():
            record = json.loads(line)
            attempt = record["attempt"] if record["kind"] == "event" else 0
            records[record["images_seen"], record["kind"], attempt] = record
    return [records[key] for key in sorted(records)]


def fold_metrics(run: ObjectStore) -> None:
    """Write all of a run's metrics as one `metrics.jsonl`."""
    run.write("metrics.jsonl", "".join(json.dumps(record) + "\n" for record in read_metrics(run)).encode())
