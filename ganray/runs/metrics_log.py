"""The metrics log of a run: parts that are written with checkpoints, since object stores cannot append, and one file of all.

A record is `{kind, images_seen, attempt, ...}`, kind being "train" (means over an interval of steps), "score" or "event".
"""

import json
from typing import Any

from ganray.storage import ObjectStore

Record = dict[str, Any]

PARTS = "metrics/"
LOG = "metrics.jsonl"


def write_part(run: ObjectStore, records: list[Record]) -> None:
    """Write records as a part of the log; a replay of the same interval replaces it."""
    if records:
        last = records[-1]
        run.write(f"{PARTS}{last['attempt']:03d}-{last['images_seen']:012d}.jsonl", _to_lines(records))


def read_log(run: ObjectStore) -> list[Record]:
    """Return a run's records, in order of images seen.

    What a replay wrote twice is there once, and a later attempt's record replaces that of an earlier one, but for events.
    """
    records: dict[tuple[int, str, int], Record] = {}
    for info in run.list(PARTS):
        for line in run.read(info.key).splitlines():
            record = json.loads(line)
            attempt = record["attempt"] if record["kind"] == "event" else 0
            records[record["images_seen"], record["kind"], attempt] = record
    return [records[key] for key in sorted(records)]


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
