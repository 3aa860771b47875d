"""Provenance of a generated image: its record is read, the version found, and the sample generated again and compared."""

from pathlib import Path
from typing import NotRequired, TypedDict, cast

import numpy as np

from ganray.errors import ArtifactError, ConfigError, DataError, plural
from ganray.gan.sampling import CHUNK, num_chunks
from ganray.generation.batch import Settings, in_process
from ganray.generation.formats import MAX_GRID_SAMPLES
from ganray.generation.record import Record, parse_record
from ganray.modalities.codec import Codec
from ganray.modalities.image import Pixels, UnreadableImage, pixels_of, read_png
from ganray.registry.artifact import build_checked, read_artifact
from ganray.registry.manifest import Manifest, find_manifest, name_of, read_manifest
from ganray.registry.registry import Registry
from ganray.storage import ObjectStore, open_store

MAX_DIFFERENCE = 1  # grey levels by which machines may round differently
REMEDY = "name a PNG file that `ganray generate` has written"


class Provenance(TypedDict):
    """The record of a verified image, the URI where its version was `found`, and the largest difference in grey levels."""

    model: NotRequired[str]
    version: NotRequired[str]
    artifact: str
    manifest: str
    seed: int
    label: NotRequired[int]
    truncation: NotRequired[float]
    index: NotRequired[int]
    num: NotRequired[int]
    digital_source_type: str
    found: str
    largest_difference: int


def provenance(file: Path, *, storage: str, public_key: Path | None = None) -> Provenance:
    """Return the verified provenance of an image: its sample was generated again, and is the same.

    The version is found by its name in `storage`, or `storage` is that version's folder; the URI in the record is a claim of the
    image's maker, and is never contacted. Raises `DataError` for a file that is not an image with a record, or not the sample in its
    record, and `ArtifactError` for a version that is missing or not the one in the record.
    """
    pixels, record = _read(file)
    version = find_version(record, storage)
    _check_version(file, record, version.uri, read_manifest(version))
    files = read_artifact(version, public_key=public_key)
    generator = build_checked(files, where=version.uri)
    if record.label is not None and record.label >= generator.num_classes:
        raise DataError(str(file), f"claims class {record.label}, which its generator does not have", "do not trust the record")
    expected = regenerate(record, files, generator.codec)
    difference = _difference(pixels, expected)
    if difference is None or difference > MAX_DIFFERENCE:
        found = "another size" if difference is None else f"differences of up to {plural(difference, 'grey level')}"
        raise DataError(str(file), f"is not the sample in its record: generated again, that has {found}", "do not trust the record")
    facts = {**record.model_dump(exclude_none=True), "found": version.uri, "largest_difference": difference}
    return cast(Provenance, facts)


def read_claim(file: Path) -> Record:
    """Return the record of an image, which is what its maker claims: anybody can write one. Raises `DataError` if there is none."""
    return _read(file)[1]


def find_version(record: Record, storage: str) -> ObjectStore:
    """Return the store of a record's version: `storage` itself if that is the folder of a version, else by the record's names."""
    store = open_store(storage)
    if find_manifest(store):
        return store
    if record.model is None or record.version is None:
        raise ConfigError("--storage", "the image's record names no model and version", "name the folder of its version")
    return Registry(store).version(record.model, record.version)[0]


def regenerate(record: Record, files: dict[str, bytes], codec: Codec) -> Pixels:
    """Return the image of a record, uint8 [C, H, W]: one sample that is an image, or the preview of the first `num`."""
    settings = Settings(record.seed, record.label, record.truncation)
    if record.index is not None and codec.kind == "image":
        (chunk,) = in_process(files, settings, chunks=[record.index // CHUNK])
        sample: Pixels = chunk[record.index % CHUNK]
        return sample
    num = record.num or 1
    chunks = in_process(files, settings, chunks=range(num_chunks(num)))
    return pixels_of(codec.preview(np.concatenate(list(chunks))[:num]))


def _check_version(file: Path, record: Record, where: str, manifest: Manifest) -> None:
    """Raise `ArtifactError` unless a version is the one in a file's record, by model, version and manifest."""
    claimed, found = (record.model, record.version), (manifest.lineage.get("model"), manifest.lineage.get("version"))
    difference = f"it is {name_of(*found)}" if claimed != found else "its manifest has another hash"
    if claimed != found or record.manifest != manifest.hash:
        raise ArtifactError(where, f"is not the version that generated {file}: {difference}", "name the right --storage")


def _read(file: Path) -> tuple[Pixels, Record]:
    """Return an image's pixels and its record. Raises `DataError` for a file without them."""
    try:
        pixels, texts = read_png(file)
    except UnreadableImage as error:
        raise DataError(str(file), f"cannot be read ({error})", REMEDY) from None
    record = parse_record(texts)
    if record is None or (record.num or 1) > MAX_GRID_SAMPLES:
        raise DataError(str(file), "has no provenance record", f"{REMEDY}, unchanged")
    return pixels, record


def _difference(left: Pixels, right: Pixels) -> int | None:
    """Return the largest difference in grey levels, None for images of different shapes."""
    if left.shape != right.shape:
        return None
    return int(np.abs(left.astype(np.int16) - right.astype(np.int16)).max())
