"""What a preparation has left in a storage."""

from collections.abc import Callable
from io import BytesIO

import numpy as np
import pyarrow.parquet as pq

from ganray.config import Data
from ganray.data.dataset import PreparedDataset, find_dataset
from ganray.data.preparation.key import identify
from ganray.data.preparation.prepare import prepare as prepare_listing
from ganray.data.sources import list_source
from ganray.storage import ObjectStore


def read_back(prepared: PreparedDataset) -> tuple[np.ndarray, np.ndarray]:
    """All pixels [N, C, H, W] and labels [N] of a prepared dataset."""
    tables = [pq.read_table(BytesIO(prepared.storage.read(key))) for key in prepared.shard_keys()]
    pixels = [np.frombuffer(b"".join(table["image"].to_pylist()), np.uint8) for table in tables]
    return np.concatenate(pixels).reshape(-1, *prepared.card.shape), np.concatenate([table["label"].to_numpy() for table in tables])


def prepared_earlier(data: Data, storage: ObjectStore) -> PreparedDataset | None:
    """Return what `prepare` would find."""
    return find_dataset(storage, identify(data, list_source(data, storage)).folder)


def keys_of(storage: ObjectStore) -> set[str]:
    return {info.key for info in storage.list("")}


def prepare(data: Data, storage: ObjectStore, *, progress: Callable[[int, int], None] | None = None) -> PreparedDataset:
    """Prepare a source's samples as a run does, which lists the source first."""
    return prepare_listing(data, list_source(data, storage), storage, progress=progress)
