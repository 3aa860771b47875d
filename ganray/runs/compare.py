"""Runs side by side: how each stands, what it scored and how fast it trained, and the fields in which their jobs differ."""

from collections.abc import Mapping, Sequence
from typing import Any

from ganray.metrics.score import Protocol
from ganray.runs.event_log import recoveries
from ganray.runs.metrics_log import Record
from ganray.runs.overview import existing_run, summarise
from ganray.storage import ObjectStore

SAME_IN_ALL = ("name", "storage")  # fields of a job that tell nothing


def compare_runs(storage: ObjectStore, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return what there is to compare of some runs, in their order: plain data by name, a score or rate that is not there None.

    `scores_at` has all runs' scores at the same number of images, the most that all were evaluated at, if they have one protocol.
    Raises `ConfigError` for a name that is no run's.
    """
    runs = [existing_run(storage, name) for name in names]
    logs = [run.metrics() for run in runs]
    jobs = [flatten(run.job.model_dump(mode="json")) for run in runs]
    differing = sorted({field for job in jobs for field in job if len({str(other.get(field)) for other in jobs}) > 1})
    common = common_evaluation(logs)
    return [
        {
            **summarise(run).to_json(),
            "images_per_s": mean_rate(log),
            "scores_at": {"images_seen": common, **_scores(log, common)} if common is not None else None,
            **recoveries(run.events()),
            "job": {field: job.get(field) for field in differing if field not in SAME_IN_ALL},
        }
        for run, log, job in zip(runs, logs, jobs, strict=True)
    ]


def common_evaluation(logs: Sequence[Sequence[Record]]) -> int | None:
    """Return the most images at which every run was scored, None if there are none or their protocols differ."""
    scored = [{record["images_seen"]: record for record in log if record["kind"] == "score"} for log in logs]
    images = set.intersection(*(set(found) for found in scored)) if scored else set()
    if not images:
        return None
    protocols = [Protocol.model_validate(found[max(images)]["protocol"]) for found in scored]
    return max(images) if all(protocol == protocols[0] for protocol in protocols) else None


def mean_rate(log: Sequence[Record]) -> float | None:
    """Return images a second of training, over a run's whole log; None without two lines."""
    lines = [record for record in log if record["kind"] == "train" and "time/trained_s" in record]
    if len(lines) < 2:
        return None
    seconds = lines[-1]["time/trained_s"] - lines[0]["time/trained_s"]
    return float((lines[-1]["images_seen"] - lines[0]["images_seen"]) / seconds) if seconds > 0 else None


def flatten(data: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """Return the leaves of nested sections by their dotted paths."""
    leaves: dict[str, Any] = {}
    for key, value in data.items():
        leaves |= flatten(value, f"{path}{key}.") if isinstance(value, Mapping) and value else {f"{path}{key}": value}
    return leaves


def _scores(log: Sequence[Record], images_seen: int) -> dict[str, float]:
    (found,) = [record for record in log if record["kind"] == "score" and record["images_seen"] == images_seen]
    return {name: value for name, value in found.items() if name.startswith("metric/")}
