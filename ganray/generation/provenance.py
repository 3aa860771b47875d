"""Provenance of a generated file: its record is read, the version found, and the samples generated again and compared."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NotRequired, TypedDict, cast

from ganray.errors import ArtifactError, ConfigError, DataError
from ganray.gan.directions import moved_inputs
from ganray.gan.interpolation import interpolated_inputs
from ganray.gan.sampling import CHUNK, num_chunks
from ganray.generation.batch import Settings, first_samples, in_process, num_tried
from ganray.generation.formats import find_reading, read_texts
from ganray.generation.formats.base import Difference, Readable
from ganray.generation.published_directions import read_directions
from ganray.generation.record import Record, parse_record
from ganray.generation.rows import given_codes
from ganray.modalities.codec import Samples, UnreadableSample
from ganray.modalities.image import UnreadableImage
from ganray.registry.artifact import PublishedGenerator, build, build_checked, read_artifact
from ganray.registry.manifest import Manifest, find_manifest, name_of, read_manifest
from ganray.registry.registry import Registry
from ganray.storage import ObjectStore, open_store
from ganray.storage.base import Progress

REMEDY = "name a PNG, WebP, MP4, wav, flac, text, CSV or Parquet file that `ganray generate` has written"

DISTRUST = "do not trust the record"
UNDECIDED = "verify it on a machine like the one that made it, or write files without loss, such as .webp"


class Provenance(TypedDict):
    """The record of a verified file, its `samples` in words, where its version was `found`, and the largest difference.

    Its `unit` is a grey level, a 16-bit step of sounds, a line of texts, or a row. `tolerance` says which differences are taken for
    those of machines, which round differently.
    """

    model: NotRequired[str]
    version: NotRequired[str]
    artifact: str
    manifest: str
    seed: int
    label: NotRequired[int]
    truncation: NotRequired[float]
    where: NotRequired[dict[str, str]]
    index: NotRequired[int]
    num: NotRequired[int]
    end: NotRequired[int]
    direction: NotRequired[int]
    reach: NotRequired[float]
    digital_source_type: str
    samples: str
    found: str
    largest_difference: int
    unit: str
    tolerance: str


def provenance(file: Path, *, storage: str, public_key: Path | None = None, progress: Progress | None = None) -> Provenance:
    """Return the verified provenance of a file: its samples were generated again, and are the same.

    The version is found by its name in `storage`, or `storage` is that version's folder; the URI in the record is a claim of the
    file's maker, and is never contacted. `progress` is told of samples that were generated. Raises `DataError` for a file without a
    record, or not the samples in its record, and `ArtifactError` for a version that is missing or not the one in the record.
    """
    record = read_claim(file)
    version = find_version(record, storage)
    _check_version(file, record, version.uri, read_manifest(version))
    _, files = read_artifact(version, public_key=public_key)
    generator = build_checked(files, where=version.uri)
    if record.label is not None and record.label >= generator.num_classes:
        raise DataError(str(file), f"claims class {record.label}, which its generator does not have", DISTRUST)
    reading = find_reading(file, generator.codec.kind)
    if reading is None:
        problem = f"is a {file.suffix} file, and its generator makes {generator.codec.noun}, which are not read from such files"
        raise DataError(str(file), problem, DISTRUST)
    difference = _difference(file, record, files, generator, reading, progress)
    if not difference.is_small:
        raise DataError(str(file), difference.problem, DISTRUST if difference.is_telling else UNDECIDED)
    found = {"samples": record.samples(), "found": version.uri, "largest_difference": difference.largest, "unit": reading.unit}
    found["tolerance"] = reading.tolerance
    facts = {**record.model_dump(exclude_none=True), **found}
    return cast(Provenance, facts)


def _difference(
    file: Path,
    record: Record,
    files: dict[str, bytes],
    generator: PublishedGenerator,
    reading: Readable,
    progress: Progress | None,
) -> Difference:
    """Return how far a file is from the samples in its record. Raises `DataError` for a record of what cannot be generated."""
    if record.count > reading.max_samples:
        raise DataError(str(file), f"claims {record.num} samples, more than {reading.max_samples}", DISTRUST)
    try:
        with _readable(file):
            return reading.difference(file, record, regenerated(record, files, generator, progress), generator.codec)
    except ConfigError as error:
        raise DataError(str(file), f"claims what its version cannot have made: {error.problem}", DISTRUST) from None


def read_claim(file: Path) -> Record:
    """Return the record of a file, which is what its maker claims: anybody can write one. Raises `DataError` if there is none."""
    with _readable(file):
        record = parse_record(read_texts(file))
    if record is None:
        raise DataError(str(file), "has no provenance record", f"{REMEDY}, unchanged")
    return record


@contextlib.contextmanager
def _readable(file: Path) -> Iterator[None]:
    """Translate what is wrong with a file into a `DataError`."""
    try:
        yield
    except (UnreadableImage, UnreadableSample) as error:
        raise DataError(str(file), f"cannot be read ({error})", REMEDY) from None


def find_version(record: Record, storage: str) -> ObjectStore:
    """Return the store of a record's version: `storage` itself if that is the folder of a version, else by the record's names."""
    store = open_store(storage)
    if find_manifest(store):
        return store
    if record.model is None or record.version is None:
        raise ConfigError("--storage", "the file's record names no model and version", "name the folder of its version")
    return Registry(store).version(record.model, record.version)[0]


def regenerated(
    record: Record, files: dict[str, bytes], generator: PublishedGenerator, progress: Progress | None = None
) -> Iterator[Samples]:
    """Yield the samples that the file of a record should have, in chunks, as stored. Raises `ConfigError` for what there cannot be."""
    if record.end is not None:
        yield interpolated(record, files)
        return
    if record.direction is not None:
        yield moved(record, files)
        return
    settings = Settings(record.seed, record.label, record.truncation, given_codes(generator, record.where or {}))
    num, codec = record.count, generator.codec
    if record.index is None:  # as `generate` chooses them, without rows that the rules of a table forbid
        chunks = in_process(files, settings, chunks=range(num_chunks(num_tried(codec, num))))
        yield from first_samples(chunks, num, codec, progress)
        return
    first, before = record.index // CHUNK, record.index % CHUNK
    for samples in in_process(files, settings, chunks=range(first, num_chunks(record.index + num))):
        yield samples[before : before + num]
        before, num = 0, num - len(samples[before : before + num])


def interpolated(record: Record, files: dict[str, bytes]) -> Samples:
    """Return the samples on the way that a record names, as stored."""
    generator = build(files)
    between = {"start": record.index or 0, "end": record.end or 0, "num": max(record.num or 2, 2)}
    latents, labels = interpolated_inputs(generator.prior, seed=record.seed, label=record.label, truncation=record.truncation, **between)
    samples: Samples = generator.layout.to_samples(generator(latents, labels)).numpy()
    return samples


def moved(record: Record, files: dict[str, bytes]) -> Samples:
    """Return the samples along the direction that a record names, as stored. Raises `DataError` for one that the version does not have."""
    generator = build(files)
    vectors = read_directions(files, generator.latent_dim, where=record.artifact).vectors
    if record.direction is None or record.reach is None or record.direction > len(vectors):
        problem = f"claims direction {record.direction}, and its version has {len(vectors)}"
        raise DataError("direction", problem, DISTRUST)
    settings: dict[str, Any] = {"seed": record.seed, "label": record.label, "truncation": record.truncation}
    along: dict[str, Any] = {"index": record.index or 0, "reach": record.reach, "num": max(record.num or 2, 2)}
    latents, labels = moved_inputs(generator.prior, vectors[record.direction - 1], **settings, **along)
    samples: Samples = generator.layout.to_samples(generator(latents, labels)).numpy()
    return samples


def _check_version(file: Path, record: Record, where: str, manifest: Manifest) -> None:
    """Raise `ArtifactError` unless a version is the one in a file's record, by model, version and manifest."""
    claimed, found = (record.model, record.version), (manifest.lineage.get("model"), manifest.lineage.get("version"))
    difference = f"it is {name_of(*found)}" if claimed != found else "its manifest has another hash"
    if claimed != found or record.manifest != manifest.hash:
        raise ArtifactError(where, f"is not the version that generated {file}: {difference}", "name the right --storage")
