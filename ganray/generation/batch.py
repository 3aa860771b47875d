"""Batch generation from a published generator, by Ray Data or in this process, with equal pixels."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from unicodedata import normalize

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganray.config.fields import LIMIT, shortened
from ganray.errors import ConfigError
from ganray.gan.sampling import CHUNK, num_chunks, sample_chunk
from ganray.generation.record import Record, make_record
from ganray.modalities.image import Pixels, encode_png, grid_png
from ganray.registry.artifact import PublishedGenerator, build, build_checked, open_artifact, read_artifact
from ganray.registry.manifest import read_manifest
from ganray.storage.base import Progress
from ganray.storage.files import atomic_write, local_errors

MAX_GRID_SAMPLES = 4096
MAX_NAMED = 20  # classes that an error names
MAX_DIGITS = 9  # of the number of a class
BLOCKS_PER_CPU = 4  # tasks of Ray Data: few enough that building the generator in each does not count


def generate(
    artifact: str,
    *,
    num: int,
    seed: int,
    out: Path,
    label: str | None = None,
    truncation: float | None = None,
    local: bool = False,
    address: str | None = None,
    public_key: Path | None = None,
    progress: Progress | None = None,
) -> Path:
    """Write samples 0 to num - 1 of a published generator, and return `out`.

    `artifact` is the URI of a version's folder, or of a model's (then its best). `out` is a `.png` (a grid), a `.parquet` file
    (columns `index`, and `image` with the `bytes` of a PNG, as the Hub and a source of kind parquet read them), or else a folder
    of PNG files named by index. Sample i is a function of the artifact, the seed, i, `label` and `truncation` alone. `label` is
    the name or number of a class, for all samples; without it, classes are as frequent as in the training data. `truncation` is a
    threshold of the latents (Brock et al. 2019, section 3.1): the lower, the more typical and alike are samples. `local` generates
    in this process, without Ray; otherwise `address` is the cluster's. Every file carries a provenance record. With `public_key`,
    a PEM file, the artifact must be signed by the private half.

    Raises `ConfigError` for an unusable `num`, `seed`, `out`, `label` or `truncation`, `ArtifactError`, `StorageError` and `ClusterError`.
    """
    check_numbers(num, seed, truncation)
    check_out(out, num)
    version = open_artifact(artifact)
    files = read_artifact(version, public_key=public_key)
    number = class_number(build_checked(files, where=version.uri), label)
    settings = Settings(seed, number, truncation)
    record = make_record(version, read_manifest(version), seed=seed, label=number, truncation=truncation)
    if local:
        _write(out, num, in_process(files, settings, chunks=range(num_chunks(num))), record, progress)
    else:
        from ganray.cluster.session import ray_session  # Ray takes a while to import, which `local` does without

        with ray_session(address):
            _write(out, num, on_cluster(files, settings, num=num), record, progress)
    return out


def class_number(generator: PublishedGenerator, label: str | None) -> int | None:
    """Return the number of a class given by name or number, None for None. Raises `ConfigError` for an unknown class."""
    if label is None:
        return None
    if not generator.num_classes:
        raise ConfigError("--class", "this generator is not conditional", "leave it out, or train with networks.conditional=true")
    names = generator.classes or []
    number = find_class(label, names, generator.num_classes)
    if number is None:
        known = ", ".join(names[:MAX_NAMED]) + (", ..." if len(names) > MAX_NAMED else "")
        raise ConfigError("--class", f"there is no class {shortened(label)}", f"use one of {known or f'0 to {generator.num_classes - 1}'}")
    return number


def find_class(label: str, names: Sequence[str], count: int) -> int | None:
    """Return the number of a class, None for none: the one of this name, in any Unicode form, or else the one of this number.

    Where classes have numbers for names, a number is a name only.
    """
    if label in names:
        return names.index(label)
    forms = [normalize("NFC", name) for name in names]
    if (form := normalize("NFC", label)) in forms:
        return forms.index(form)
    is_number = label.isdecimal() and len(label) <= MAX_DIGITS and not any(name.isdecimal() for name in names)
    return int(label) if is_number and int(label) < count else None


def check_truncation(threshold: float | None) -> None:
    """Raise `ConfigError` unless a threshold, if there is one, is positive and finite."""
    if threshold is not None and not 0 < threshold < math.inf:
        remedy = "use about 0.5 for typical samples, 2 for nearly all, or leave it out"
        raise ConfigError("--truncation", f"expected a positive number, got {threshold:g}", remedy)


def check_numbers(num: int, seed: int, truncation: float | None) -> None:
    """Raise `ConfigError` for a number of samples, a seed or a threshold that the record of a file cannot have."""
    check_truncation(truncation)
    for option, number, minimum in (("--num", num, 1), ("--seed", seed, 0)):
        if not minimum <= number < LIMIT:
            raise ConfigError(option, f"expected {minimum} to 2^63 - 1, got {shortened(number)}", "use a number in that range")


def check_out(out: Path, num: int) -> None:
    """Raise `ConfigError` if `num` samples cannot be written to `out`."""
    if out.suffix == ".png" and num > MAX_GRID_SAMPLES:
        remedy = f"name a folder or a .parquet file, or ask for {MAX_GRID_SAMPLES} at most"
        raise ConfigError("--out", f"a grid of {num} images is too large", remedy)
    if out.suffix not in (".png", ".parquet", ""):
        raise ConfigError("--out", f"unsupported format {out.suffix!r}", "name a .png file, a .parquet file or a folder")
    nearest = next(parent for parent in (out, *out.absolute().parents) if parent.exists())
    if nearest != out and not nearest.is_dir():
        raise ConfigError("--out", f"{nearest} is a file", "name a folder that exists or can be created")


@dataclass(frozen=True)
class Settings:
    """What samples depend on beside the generator and their index: see `sample_chunk`."""

    seed: int
    label: int | None = None
    truncation: float | None = None

    def sample(self, generator: PublishedGenerator, chunk: int) -> Tensor:
        """Return a chunk, by its number, as uint8 [CHUNK, C, H, W]."""
        return sample_chunk(generator, generator.prior, seed=self.seed, chunk=chunk, label=self.label, truncation=self.truncation)


def in_process(files: Mapping[str, bytes], settings: Settings, *, chunks: Iterable[int]) -> Iterator[Pixels]:
    """Yield the chunks of the given numbers, uint8 [CHUNK, C, H, W], generated on one thread, as on a cluster, for equal pixels."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        generator = build(files)
        for chunk in chunks:
            yield settings.sample(generator, chunk).numpy()
    finally:
        torch.set_num_threads(before)


def on_cluster(files: Mapping[str, bytes], settings: Settings, *, num: int) -> Iterator[Pixels]:
    """Yield the chunks of `num` samples in order, generated by Ray Data on all CPUs of the cluster."""
    import ray

    cpus = max(int(ray.cluster_resources().get("CPU", 1)), 1)
    chunks = ray.data.range(num_chunks(num), override_num_blocks=min(num_chunks(num), BLOCKS_PER_CPU * cpus))
    chunks.context.execution_options.preserve_order = True
    for row in chunks.map_batches(partial(make_chunks, weights=ray.put(files), settings=settings), batch_size=None).iter_rows():
        yield row["pixels"]


def make_chunks(block: dict[str, NDArray[Any]], *, weights: Any, settings: Settings) -> dict[str, Pixels]:
    """Return a block of chunks, by their numbers in `id`, as uint8 [n, CHUNK, C, H, W]. `weights` refers to the artifact's files."""
    import ray

    torch.set_num_threads(1)
    generator = build(ray.get(weights))
    chunks = [settings.sample(generator, int(chunk)) for chunk in block["id"]]
    return {"pixels": torch.stack(chunks).numpy()}


def _write(out: Path, num: int, chunks: Iterable[Pixels], record: Record, progress: Progress | None) -> None:
    """Write chunks of samples, with their record, in the format of `out`."""
    samples = _counted(chunks, num, progress)
    with local_errors("write", out, field="--out"):
        if out.suffix == ".png":
            with atomic_write(out) as file:
                file.write(grid_png(np.concatenate(list(samples)), record.of(num=num).texts()))
        elif out.suffix == ".parquet":
            from ganray.generation.parquet import write_parquet  # pyarrow takes a while to import, too

            with atomic_write(out) as file:
                write_parquet(file, samples, record.of(num=num))
        else:
            out.mkdir(parents=True, exist_ok=True)
            for index, image in enumerate(image for chunk in samples for image in chunk):
                (out / f"{index:06d}.png").write_bytes(encode_png(image, record.of(index=index).texts()))


def _counted(chunks: Iterable[Pixels], num: int, progress: Progress | None) -> Iterator[Pixels]:
    """Yield the chunks, the last one truncated to `num` samples in all, and report progress in samples."""
    for number, chunk in enumerate(chunks):
        samples = chunk[: num - number * CHUNK]
        yield samples
        if progress:
            progress(number * CHUNK + len(samples), num)
