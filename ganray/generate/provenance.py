"""Where a picture came from: its record is read, the version looked up, and the very sample made again to compare."""

from pathlib import Path
from typing import Any

import numpy as np

from ganray.errors import ArtifactError, ConfigError, DataError
from ganray.gan.sampling import CHUNK, num_chunks
from ganray.generate.batch import MAX_GRID_SAMPLES, in_process
from ganray.generate.record import Record, parse_record
from ganray.modalities.image import UnreadableImage, grid, read_png, to_pixels
from ganray.registry.artifact import open_artifact, read_artifact
from ganray.registry.manifest import read_manifest
from ganray.registry.registry import Registry
from ganray.storage import ObjectStore, open_store

SAME_WITHIN = 1  # grey levels: what machines that round otherwise may differ by


def provenance(file: Path, *, storage: str | None = None, public_key: Path | None = None) -> dict[str, Any]:
    """Return what made a picture, having made it again: the record, and the largest difference in grey levels.

    The version is looked up where the record says, or by name in `storage`. Raises `GanrayError` for a picture that has no record,
    whose version is not there or is another now, or that is not what its record says.
    """
    try:
        pixels, texts = read_png(file)
    except UnreadableImage as error:
        raise DataError(str(file), f"cannot be read ({error})", "name a PNG file that `ganray generate` has written") from None
    record = parse_record(texts)
    if record is None or (record.num or 1) > MAX_GRID_SAMPLES:
        raise DataError(str(file), "does not say what made it", "name a PNG file that `ganray generate` has written, unchanged")
    store = find_version(record, storage)
    manifest = read_manifest(store)
    if manifest.hash != record.manifest:
        raise ArtifactError(store.uri, f"is not the version that made {file}: its manifest has another hash", "name the right --storage")
    made = make_again(record, read_artifact(store, public_key=public_key))
    difference = _difference(pixels, made)
    if difference is None or difference > SAME_WITHIN:
        found = "another size" if difference is None else f"differences of up to {difference} grey levels"
        raise DataError(str(file), f"is not what its record says: the sample made again has {found}", "do not trust the record")
    return {**record.model_dump(exclude_none=True), "found": store.uri, "largest_difference": difference}


def find_version(record: Record, storage: str | None) -> ObjectStore:
    """Return the store of the version that a record names."""
    if storage is None:
        return open_artifact(record.artifact)
    if record.model is None:
        raise ConfigError("--storage", "the picture does not say of which model it is", "leave --storage out")
    return Registry(open_store(storage)).version(record.model, record.version)[0]


def make_again(record: Record, files: dict[str, bytes]) -> np.ndarray:
    """Return the picture of a record, uint8 [C, H, W]: one sample, or the grid of the first."""
    if record.index is not None:
        (chunk,) = in_process(files, chunks=[record.index // CHUNK], seed=record.seed, label=record.label)
        return chunk[record.index % CHUNK]
    num = record.num or 1
    chunks = in_process(files, chunks=range(num_chunks(num)), seed=record.seed, label=record.label)
    return to_pixels(grid(np.concatenate(list(chunks))[:num]))


def _difference(left: np.ndarray, right: np.ndarray) -> int | None:
    """Return the largest difference in grey levels, None between pictures of different sizes."""
    if left.shape != right.shape:
        return None
    return int(np.abs(left.astype(np.int16) - right.astype(np.int16)).max())
