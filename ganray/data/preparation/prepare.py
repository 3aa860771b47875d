"""Preparation of a source, once: shards of arrays of one shape and a dataset card, in a folder named by a key of source and settings.

The key is known before the first byte, so that shards are written to their final place; the card, written last, commits them.
Two preparations of one key write the same bytes, and what a killed one left is overwritten by the next.
"""

import contextlib
import hashlib
import json
import logging
import platform
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any

import numpy as np

from ganray.cluster.errors import unwrapped_errors
from ganray.config import Data
from ganray.config.compatibility import KINDS
from ganray.data.card import DatasetCard, Shard, Skipped, SkippedSample
from ganray.data.dataset import CARD, PreparedDataset, find_dataset
from ganray.data.preparation.changes import warn_of_earlier
from ganray.data.preparation.codecs import make_codec
from ganray.data.preparation.key import FOLDER, Identity, identify
from ganray.data.preparation.shards import MAX_EXAMPLES, DecodeCounts, ShardTarget, WrittenShard, encode_rows, write_shards
from ganray.data.shard import SampleType, is_shard_file, rows_per_shard
from ganray.data.sources.rows import PATH_FIELD, Listing, Rows
from ganray.errors import DataError, enumerated, plural
from ganray.modalities.codec import Codec
from ganray.modalities.deep import FULL_DEPTH
from ganray.storage import MissingObject, ObjectStore
from ganray.storage.leftovers import remove_leftovers

ABANDONED_AFTER_S = 7 * 86_400  # shards without a card that nobody has written to for so long are of a killed preparation
PACKAGES = ("ray", "pyarrow", "pillow", "numpy")  # those that decide what samples come out
logger = logging.getLogger(__name__)

NUM_NAMED = 5  # unreadable samples that an error names

Progress = Callable[[int, int], None]  # takes the samples decoded so far and their total


def prepare(
    data: Data, listing: Listing, storage: ObjectStore, *, codec: Codec | None = None, progress: Progress | None = None
) -> PreparedDataset:
    """Prepare the samples of a source's listing, or return the dataset that was prepared from it with the same settings.

    `codec` is another dataset's, whose samples these are to be compared with, in a storage of their own. Needs a connection to Ray. Raises
    `DataError` if the source is missing or empty, or if more than `data.max_bad_fraction` of it cannot be read, and `StorageError` where
    the storage cannot be written; nothing is left behind then.
    """
    for message in listing.messages:
        logger.warning("%s", message)
    identity = identify(data, listing)
    remove_leftovers(storage.child(identity.folder))
    dataset = find_dataset(storage, identity.folder)
    if dataset is None:
        warn_of_earlier(data, identity.folder, storage)
        dataset = _write_dataset(data, identity, listing, storage, codec, progress)
        if not dataset.is_complete():  # another preparation of it failed at the same time, and removed shards before the card was there
            dataset = _write_dataset(data, identity, listing, storage, codec, progress)
        _remove_abandoned(storage)
    skipped = dataset.card.skipped
    check_skipped(skipped.count, skipped.examples, dataset.card.num_readable + skipped.count, data)
    log_depth(data, dataset.card)
    log_classes(dataset.card)
    return dataset


def check_skipped(skipped: int, examples: list[SkippedSample], seen: int, data: Data) -> None:
    """Raise `DataError` naming the first unreadable samples if they are all, or more than `data.max_bad_fraction`, of those seen."""
    named = ", ".join(f"{example.name} ({example.reason})" for example in examples[:NUM_NAMED])
    if skipped == seen:
        remedy = f"name a source that holds {KINDS[data.modality.kind].nouns}"
        raise DataError(PATH_FIELD, f"none of {plural(seen, 'sample')} could be read: {named}", remedy)
    if skipped > data.max_bad_fraction * seen:
        problem = f"{skipped:,} of {plural(seen, 'sample')} could not be read: {named}"
        raise DataError("data.max_bad_fraction", problem, f"repair or remove them, or allow more than {data.max_bad_fraction}")


def log_depth(data: Data, card: DatasetCard) -> None:
    """Log that deep images come out dark, if none of their values needs all of `data.bit_depth` bits."""
    if card.peak is None or (bits := max(1, card.peak.bit_length())) >= data.bit_depth:
        return
    brightness = card.peak / ((1 << data.bit_depth) - 1)
    logger.warning(
        "images of %d bits have no value above %s, and come out dark, at most %.1f%% of white; set data.bit_depth=%d if they have no more",
        *(FULL_DEPTH, f"{card.peak:,}", 100 * brightness, bits),
    )


def log_classes(card: DatasetCard) -> None:
    """Log which classes have samples of which none could be read: their numbers stay, and no sample has them."""
    if unreadable := card.unreadable_classes:
        named = [f"{name} ({plural(count, 'sample')})" for name, count in list(unreadable.items())[:NUM_NAMED]]
        more = [f"{len(unreadable) - NUM_NAMED:,} more"] if len(unreadable) > NUM_NAMED else []
        classes = "class" if len(unreadable) == 1 else "classes"
        logger.warning("nothing is learned of %s %s: none of the samples could be read", classes, enumerated([*named, *more]))


def _write_dataset(
    data: Data, identity: Identity, listing: Listing, storage: ObjectStore, codec: Codec | None, progress: Progress | None
) -> PreparedDataset:
    """Write a dataset's shards, then its card."""
    folder = identity.folder
    with _removed_on_failure(storage, folder), unwrapped_errors():
        rows = listing.open()
        codec = codec or make_codec(data, rows)
        counts, target = DecodeCounts(), ShardTarget(storage, folder, SampleType(codec.shape, codec.dtype), len(rows.classes or []))
        encoded = encode_rows(rows, codec)
        shards = write_shards(encoded, target, _counter(counts, data, rows.count, progress))
        check_skipped(counts.skipped, counts.examples, counts.seen, data)
        card = _make_card(data, identity, listing, rows, codec, shards, counts)
        storage.write(f"{folder}/{CARD}", card.model_dump_json(indent=2).encode())
    return PreparedDataset(storage, folder, card)


def _counter(counts: DecodeCounts, data: Data, total: int, progress: Progress | None) -> Callable[[DecodeCounts], None]:
    """Return what adds the counts of a block to all, shows progress, and raises early once too much of the whole is unreadable."""

    def count(block: DecodeCounts) -> None:
        counts.add(block)
        if progress:
            progress(counts.seen, total)
        if len(counts.examples) >= NUM_NAMED and counts.skipped > data.max_bad_fraction * total:
            check_skipped(counts.skipped, counts.examples, counts.seen, data)

    return count


def _make_card(
    data: Data, identity: Identity, listing: Listing, rows: Rows, codec: Codec, shards: list[WrittenShard], counts: DecodeCounts
) -> DatasetCard:
    class_counts = np.sum([shard.class_counts for shard in shards], axis=0).tolist()
    num_distinct = len(np.unique(np.concatenate([shard.digests for shard in shards])))
    return DatasetCard(
        name=identity.name,
        key=identity.key,
        fingerprint=fingerprint(codec, [shard.content for shard in shards]),
        count=sum(shard.rows for shard in shards) - rows.num_held_out,
        **_facts(data, identity.settings, codec, counts, rows),
        classes=rows.classes,
        class_counts=None if rows.classes is None else class_counts,
        unreadable_classes=unreadable_classes(rows.classes or [], class_counts, counts),
        source=data.source.model_dump(mode="json"),
        rows_per_shard=rows_per_shard(SampleType(codec.shape, codec.dtype)),
        shards=[Shard(file=shard.file, rows=shard.rows, sha256=shard.sha256) for shard in shards],
        skipped=Skipped(count=counts.skipped, examples=counts.examples),
        left_out=Skipped(count=len(listing.left_out), examples=listing.left_out[:MAX_EXAMPLES]),
        licence=rows.licence,
        duplicates=sum(shard.rows for shard in shards) - num_distinct,
        created_by={"python": platform.python_version()} | {package: version(package) for package in PACKAGES},
    )


def fingerprint(codec: Codec, contents: list[str]) -> str:
    """Return the SHA-256 of what samples are and the shards' content hashes, in order: the same however Parquet encodes them."""
    meaning = [] if codec.kind == "image" else [json.dumps(codec.to_json(), sort_keys=True)]
    return hashlib.sha256("\n".join(["ganray dataset", repr(tuple(codec.shape)), *meaning, *contents]).encode()).hexdigest()


def unreadable_classes(classes: list[str], class_counts: list[int], counts: DecodeCounts) -> dict[str, int]:
    """Return the classes that only have samples that could not be read, with how many these are."""
    skipped = counts.skipped_labels
    return {name: skipped[number] for number, name in enumerate(classes) if skipped[number] and not class_counts[number]}


def _facts(data: Data, settings: dict[str, Any], codec: Codec, counts: DecodeCounts, rows: Rows) -> dict[str, Any]:
    """Return what a card says of samples of its kind, and how they were made."""
    if codec.kind != "image":
        return {"modality": codec.to_json(), "settings": settings, "held_out": rows.num_held_out}
    channels, height, width = codec.shape
    shape = {"channels": channels, "height": height, "width": width}
    made = {"filter": data.filter, "background": data.background_rgb, "bit_depth": data.bit_depth, "premultiplied": data.has_alpha}
    return {**shape, **made, "peak": counts.peak}


@contextlib.contextmanager
def _removed_on_failure(storage: ObjectStore, folder: str) -> Iterator[None]:
    """Remove the shards in a folder if the block raises, as long as no card commits them: another preparation may finish first."""
    try:
        yield
    except BaseException:
        for info in storage.list(f"{folder}/"):
            if _is_committed(storage, folder):
                break
            storage.delete(info.key)
        raise


def _is_committed(storage: ObjectStore, folder: str) -> bool:
    try:
        storage.read(f"{folder}/{CARD}")
    except MissingObject:
        return False
    return True


def _remove_abandoned(storage: ObjectStore) -> None:
    """Delete what preparations that were killed long ago have left: shards in folders without a card, and incomplete writes."""
    remove_leftovers(storage.child(FOLDER), older_than_s=ABANDONED_AFTER_S)
    infos = storage.list(f"{FOLDER}/")
    committed = {info.key.removesuffix(f"/{CARD}") for info in infos if info.key.endswith(f"/{CARD}")}
    last_written: dict[str, float] = {}
    for info in infos:
        folder = info.key.rpartition("/")[0]
        last_written[folder] = max(info.modified, last_written.get(folder, 0.0))
    for info in infos:
        folder, _, file = info.key.rpartition("/")
        if folder not in committed and is_shard_file(file) and time.time() - last_written[folder] > ABANDONED_AFTER_S:
            storage.delete(info.key)
