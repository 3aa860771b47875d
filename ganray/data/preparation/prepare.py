"""Prepares a source once: fixed-shape uint8 Parquet shards and a dataset card in the store, found again by key."""

import contextlib
import hashlib
import json
import platform
import re
import time
import uuid
from collections.abc import Callable, Iterator
from importlib.metadata import version

import numpy as np
import ray

from ganray.cluster.errors import unwrapped_errors
from ganray.config import Data
from ganray.data.card import FORMAT, DatasetCard, Shard, Skipped
from ganray.data.dataset import CARD, PreparedDataset, load_dataset
from ganray.data.preparation.shards import Tally, Writing, WrittenShard, decode_rows, fingerprint, rows_per_shard, write_shards
from ganray.data.sources import list_source
from ganray.data.sources.rows import PATH_FIELD, Listing, Rows
from ganray.errors import DataError
from ganray.storage import MissingObject, ObjectStore

STAGING = "datasets/staging"
STAGING_MAX_AGE_S = 7 * 86_400  # what a killed attempt has left is swept after a week
PACKAGES = ("ray", "pyarrow", "pillow", "numpy")  # those that decide what pixels come out
NUM_NAMED = 5  # unreadable samples that an error names


def find_dataset(data: Data, storage: ObjectStore) -> PreparedDataset | None:
    """Find what was prepared earlier from the same source with the same settings; no sample is read.

    Raises `GanrayError` if the source is missing or empty, or if more of it was unreadable than `data` tolerates.
    """
    return _find(_dataset_key(data, list_source(data.source)), data, storage)


def prepare(data: Data, storage: ObjectStore, *, progress: Callable[[int, int], None] | None = None) -> PreparedDataset:
    """Prepare a source's samples, unless that has been done: then they are found.

    Needs a connection to Ray. `progress` is called with the samples decoded so far and their total. Raises `GanrayError` if
    the source is missing or empty, or more than `data.max_bad_fraction` of it cannot be read; nothing is left behind then.
    """
    listing = list_source(data.source)
    key = _dataset_key(data, listing)
    if found := _find(key, data, storage):
        return found
    with _staging_folder(storage, key) as staging, unwrapped_errors():
        rows = listing.open()
        writing = Writing(storage, staging, data.shape, len(rows.classes or []))
        tally = Tally()
        check = _checker(data, rows.count, progress)
        shards = write_shards(decode_rows(rows, data.shape, data.filter), tally, writing, check)
        check_skipped(tally.skipped, tally.examples, tally.seen, data)
        card = _make_card(data, listing, key, rows, shards, tally)
        return _publish(storage, staging, card)


def check_skipped(skipped: int, examples: list, seen: int, data: Data) -> None:
    """Raise `GanrayError` naming the first unreadable samples if they are all, or more than `data.max_bad_fraction`, of those seen."""
    named = ", ".join(f"{example.name} ({example.reason})" for example in examples[:NUM_NAMED])
    if skipped == seen:
        raise DataError(PATH_FIELD, f"no picture could be read among {seen:,}: {named}", "name a source that holds pictures")
    if skipped > data.max_bad_fraction * seen:
        problem = f"{skipped:,} of {seen:,} pictures could not be read: {named}"
        raise DataError("data.max_bad_fraction", problem, f"repair or remove them, or allow more than {data.max_bad_fraction}")


def _checker(data: Data, total: int, progress: Callable[[int, int], None] | None) -> Callable[[Tally], None]:
    """What to do whenever more was decoded: show progress, and stop early once too much of the whole is unreadable."""

    def check(tally: Tally) -> None:
        if progress:
            progress(tally.seen, total)
        if len(tally.examples) >= NUM_NAMED and tally.skipped > data.max_bad_fraction * total:
            check_skipped(tally.skipped, tally.examples, tally.seen, data)

    return check


def _dataset_key(data: Data, listing: Listing) -> str:
    settings = [FORMAT, data.source.kind, data.shape, data.filter, listing.identity]
    return hashlib.sha256(json.dumps(settings).encode()).hexdigest()


def _key_object(key: str) -> str:
    return f"datasets/keys/{key}.json"


def _find(key: str, data: Data, storage: ObjectStore) -> PreparedDataset | None:
    try:
        folder = json.loads(storage.read(_key_object(key)))["folder"]
    except MissingObject:
        return None
    if prepared := _load_whole(storage, folder):
        card = prepared.card
        check_skipped(card.skipped.count, card.skipped.examples, card.count + card.skipped.count, data)
    return prepared


def _load_whole(storage: ObjectStore, folder: str) -> PreparedDataset | None:
    """Load the dataset in `folder` if its card and all of its shards are there."""
    try:
        prepared = load_dataset(storage, folder)
    except MissingObject:
        return None
    present = {info.key for info in storage.list(f"{folder}/")}
    return prepared if present.issuperset(prepared.shard_keys()) else None


def _publish(storage: ObjectStore, staging: str, card: DatasetCard) -> PreparedDataset:
    """Put staged shards in their place, then the card, then the key: a reader finds all of it or nothing."""
    folder = f"datasets/{card.name}-{card.fingerprint[:12]}"
    prepared = _load_whole(storage, folder)
    if prepared is None:
        files = [shard.file for shard in card.shards]
        ray.get([_copy.remote(storage, f"{staging}/{file}", f"{folder}/{file}") for file in files])
        storage.write(f"{folder}/{CARD}", card.model_dump_json(indent=2).encode())
        prepared = PreparedDataset(storage, folder, card)
    storage.write(_key_object(card.key), json.dumps({"folder": folder}).encode())
    return prepared


@ray.remote(num_cpus=1, scheduling_strategy="SPREAD")
def _copy(storage: ObjectStore, source: str, target: str) -> None:
    storage.write(target, storage.read(source))


def _make_card(data: Data, listing: Listing, key: str, rows: Rows, shards: list[WrittenShard], tally: Tally) -> DatasetCard:
    channels, height, width = data.shape
    count = sum(shard.rows for shard in shards)
    sums = np.sum([shard.channel_sums for shard in shards], axis=0)
    counts = np.sum([shard.class_counts for shard in shards], axis=0).tolist()
    return DatasetCard(
        name=_dataset_name(data, listing),
        key=key,
        fingerprint=fingerprint(data.shape, [shard.content for shard in shards]),
        count=count,
        channels=channels,
        height=height,
        width=width,
        classes=rows.classes,
        class_counts=None if rows.classes is None else counts,
        channel_means=(sums / (count * height * width * 255)).tolist(),
        filter=data.filter,
        source=data.source.model_dump(mode="json"),
        rows_per_shard=rows_per_shard(data.shape),
        shards=[Shard(file=shard.file, rows=shard.rows, sha256=shard.sha256) for shard in shards],
        skipped=Skipped(count=tally.skipped, examples=tally.examples),
        licence=rows.licence,
        created_by={"python": platform.python_version()} | {package: version(package) for package in PACKAGES},
    )


def _dataset_name(data: Data, listing: Listing) -> str:
    """The name that the job gives, else the source's in the letters that a name may have."""
    return data.name or re.sub(r"[^a-z0-9._-]+", "-", listing.name.lower()).strip("._-")[:64] or data.source.kind


@contextlib.contextmanager
def _staging_folder(storage: ObjectStore, key: str) -> Iterator[str]:
    """A folder of this attempt's own for unfinished shards, emptied at its end; those of long dead attempts are swept too."""
    folder = f"{STAGING}/{key[:16]}-{uuid.uuid4().hex[:8]}"
    try:
        yield folder
    finally:
        for info in storage.list(f"{STAGING}/"):
            if info.key.startswith(f"{folder}/") or _is_stale(info.modified):
                storage.delete(info.key)


def _is_stale(modified: float) -> bool:
    return time.time() - modified > STAGING_MAX_AGE_S
