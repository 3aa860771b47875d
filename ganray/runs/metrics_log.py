"""The metrics log of a run: parts, since object stores cannot append, and one file of all.

A part begins at a checkpoint, after which it is named, and is written again as it grows. A record is
`{kind, images_seen, attempt, ...}`, kind being "train" (means over an interval of steps), "score", "event" (of the divergence monitor) or
"recovery" (seconds without training and images trained again after something died, which the driver writes).
"""

import json
from collections.abc import Collection, Iterable
from typing import Any

from ganray.storage import ObjectStore

Record = dict[str, Any]

PARTS = "metrics/"
LOG = "metrics.jsonl"
MAX_PARTS = 10  # that a glance at a log reads
RECOVERY = "recovery"  # kind of a record, and writer of its part


def part_name(attempt: int, images_seen: int, *, writer: str = "on") -> str:
    """Return the name of the part that is written from a number of images on: by rank 0 unless another `writer` is named."""
    return f"{attempt:03d}-{images_seen:012d}-{writer}"


def write_part(run: ObjectStore, part: str, records: list[Record]) -> None:
    """Write a part of the log, in place of one of that name: of its own beginning, or of what is replayed."""
    if records:
        run.write(f"{PARTS}{part}.jsonl", _to_lines(records))


def read_log(run: ObjectStore) -> list[Record]:
    """Return a run's records, in order of images seen.

    What a replay wrote twice is there once, and a later attempt's record replaces that of an earlier one, but for events.
    """
    return merge(json.loads(line) for info in run.list(PARTS) for line in run.read(info.key).splitlines())


def merge(records: Iterable[Record]) -> list[Record]:
    """Return the records of several parts as `read_log` does."""
    merged = {key_of(record): record for record in records}
    return [merged[key] for key in sorted(merged)]


def key_of(record: Record) -> tuple[int, str, int, str]:
    """Return what tells a record from others, and not from what a replay or a later attempt has in its place."""
    is_event = record["kind"] in ("event", RECOVERY)
    attempt, which = (record["attempt"], str(record.get("event", record.get("time", "")))) if is_event else (0, "")
    return record["images_seen"], record["kind"], attempt, which


def newest_images(run: ObjectStore, *, attempt: int) -> int:
    """Return at how many images the newest record of an attempt was written, 0 if there is none; reads one part."""
    names = [info.key for info in run.list(f"{PARTS}{attempt:03d}-") if RECOVERY not in info.key]
    lines = run.read(names[-1]).splitlines() if names else []
    return max((json.loads(line)["images_seen"] for line in lines), default=0)


def newest(run: ObjectStore, kinds: Collection[str]) -> dict[str, Record]:
    """Return the newest record of each of some kinds that the newest parts have; reads no more than `MAX_PARTS` parts."""
    found: dict[str, Record] = {}
    for info in reversed([info for info in run.list(PARTS) if RECOVERY not in info.key][-MAX_PARTS:]):
        for record in reversed([json.loads(line) for line in run.read(info.key).splitlines()]):
            if record["kind"] in kinds:
                found.setdefault(record["kind"], record)
        if len(found) == len(kinds):
            break
    return found


def scores_of(records: list[Record], metric: str) -> list[tuple[int, float]]:
    """Return (images seen, value) of every evaluation that has a metric."""
    return [(record["images_seen"], record[metric]) for record in records if record["kind"] == "score" and metric in record]


def last_event(records: list[Record]) -> str | None:
    """Return the message of the last event, None if there is none."""
    events = (record for record in reversed(records) if record["kind"] == "event")
    return next((event["message"] for event in events if "message" in event), None)


def write_log(run: ObjectStore) -> None:
    """Write all parts as one `metrics.jsonl`."""
    run.write(LOG, _to_lines(read_log(run)))


def _to_lines(records: list[Record]) -> bytes:
    return "".join(json.dumps(record) + "\n" for record in records).encode()
