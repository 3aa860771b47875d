"""Batch generation from a published generator, by Ray Data or in this process, with equal samples."""

import contextlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from unicodedata import normalize

import torch
from numpy.typing import NDArray
from torch import Tensor

from ganray.config.fields import LIMIT, shortened
from ganray.errors import ConfigError
from ganray.gan.sampling import num_chunks, sample_chunk
from ganray.generation.formats import check_place, find_writer
from ganray.generation.record import make_record
from ganray.generation.rows import UniqueRows, conditions, given_codes
from ganray.modalities.codec import Codec, Samples
from ganray.registry.artifact import PublishedGenerator, build, build_checked, open_artifact, read_artifact
from ganray.storage.base import Progress
from ganray.storage.files import local_errors

MAX_NAMED = 20  # classes that an error names
MAX_DIGITS = 9  # of the number of a class
MAX_TRIES = 20  # rows that are generated for one that no other equals, where a rule wants that
BLOCKS_PER_CPU = 4  # tasks of Ray Data: few enough that building the generator in each does not count


def generate(
    artifact: str,
    *,
    num: int,
    seed: int,
    out: Path,
    label: str | None = None,
    truncation: float | None = None,
    where: Mapping[str, str] | None = None,
    local: bool = False,
    address: str | None = None,
    public_key: Path | None = None,
    progress: Progress | None = None,
) -> Path:
    """Write samples 0 to num - 1 of a published generator, and return `out`.

    `artifact` is the URI of a version's folder, or of a model's (then its best). For images, `out` is a `.png` (a grid), a `.parquet`
    file (columns `index`, and `image` with the `bytes` of a PNG, as the Hub and a source of kind parquet read them), or else a folder of
    PNG files named by index; other kinds have formats of their own. Sample i is a function of the artifact, the seed, i, `label` and
    `truncation` alone. `label` is the name or number of a class, for all samples; without it, classes are as frequent as in the training
    data. `truncation` is a threshold of the latents (Brock et al. 2019, section 3.1): the lower, the more typical and alike are samples.
    `where` gives columns of a table values. `local` generates in this process, without Ray; otherwise `address` is the cluster's. Every
    file carries a provenance record. With `public_key`, a PEM file, the artifact must be signed by the private half.

    Raises `ConfigError` for an unusable `num`, `seed`, `out`, `label`, `truncation` or `where`, `ArtifactError`, `StorageError` and
    `ClusterError`.
    """
    check_numbers(num, seed, truncation)
    check_place(out, num)
    version = open_artifact(artifact)
    manifest, files = read_artifact(version, public_key=public_key)
    generator = build_checked(files, where=version.uri)
    write, number = find_writer(out, generator.codec.kind), class_number(generator, label)
    settings = Settings(seed, number, truncation, given_codes(generator, where or {}))
    record = make_record(version, manifest, seed=seed, label=number, truncation=truncation, where=where).of(num=num)
    tried = num_tried(generator.codec, num)
    with _chunks(files, settings, tried, local=local, address=address) as chunks, local_errors("write", out, field="--out"):
        write(out, first_samples(chunks, num, generator.codec, progress), record, generator.codec)
    return out


def num_tried(codec: Codec, num: int) -> int:
    """Return how many samples are generated at most for `num` that keep the rules of unique rows."""
    return num * MAX_TRIES if UniqueRows.of(codec) else num


def first_samples(chunks: Iterable[Samples], num: int, codec: Codec, progress: Progress | None = None) -> Iterator[Samples]:
    """Yield the first `num` samples of chunks that keep the rules of unique rows. Raises `ConfigError` where there are fewer."""
    unique = UniqueRows.of(codec)
    return _counted(unique.filtered(chunks, num) if unique else chunks, num, progress)


def class_number(generator: PublishedGenerator, label: str | None) -> int | None:
    """Return the number of a class given by name or number, None for None. Raises `ConfigError` for an unknown class."""
    if label is None:
        return None
    if not generator.num_classes:
        raise ConfigError("--class", "this generator is not conditional", "leave it out, or train with networks.conditional=true")
    names, shares = generator.classes or [], generator.prior.class_shares
    number = find_class(label, names, generator.num_classes)
    if number is None or not shares[number]:
        learned = [name for name, share in zip(names, shares, strict=True) if share] if names else []
        known = ", ".join(learned[:MAX_NAMED]) + (", ..." if len(learned) > MAX_NAMED else "")
        problem = f"there is no class {shortened(label)}" if number is None else f"class {shortened(label)} had no sample to learn from"
        raise ConfigError("--class", problem, f"use one of {known or f'0 to {generator.num_classes - 1}'}")
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


@dataclass(frozen=True)
class Settings:
    """What samples depend on beside the generator and their index: see `sample_chunk`."""

    seed: int
    label: int | None = None
    truncation: float | None = None
    given: tuple[tuple[int, int], ...] = ()  # columns of a table and the codes that they have

    def sample(self, generator: PublishedGenerator, chunk: int) -> Tensor:
        """Return a chunk, by its number, [CHUNK, ...] as stored."""
        given = conditions(generator, self.given) if self.given else None
        draw = partial(sample_chunk, seed=self.seed, label=self.label, truncation=self.truncation, given=given)
        return draw(generator, generator.prior, generator.layout, chunk=chunk)


def in_process(files: Mapping[str, bytes], settings: Settings, *, chunks: Iterable[int]) -> Iterator[Samples]:
    """Yield the chunks of the given numbers, [CHUNK, ...] as stored, generated on one thread, as on a cluster, for equal samples."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        generator = build(files)
        for chunk in chunks:
            yield settings.sample(generator, chunk).numpy()
    finally:
        torch.set_num_threads(before)


def on_cluster(files: Mapping[str, bytes], settings: Settings, *, num: int) -> Iterator[Samples]:
    """Yield the chunks of `num` samples in order, generated by Ray Data on all CPUs of the cluster."""
    import ray

    cpus = max(int(ray.cluster_resources().get("CPU", 1)), 1)
    chunks = ray.data.range(num_chunks(num), override_num_blocks=min(num_chunks(num), BLOCKS_PER_CPU * cpus))
    chunks.context.execution_options.preserve_order = True
    for row in chunks.map_batches(partial(make_chunks, weights=ray.put(files), settings=settings), batch_size=None).iter_rows():
        yield row["samples"]


def make_chunks(block: dict[str, NDArray[Any]], *, weights: Any, settings: Settings) -> dict[str, Samples]:
    """Return a block of chunks, by their numbers in `id`, [n, CHUNK, ...] as stored. `weights` refers to the artifact's files."""
    import ray

    torch.set_num_threads(1)
    generator = build(ray.get(weights))
    chunks = [settings.sample(generator, int(chunk)) for chunk in block["id"]]
    return {"samples": torch.stack(chunks).numpy()}


@contextlib.contextmanager
def _chunks(files: Mapping[str, bytes], settings: Settings, num: int, *, local: bool, address: str | None) -> Iterator[Iterator[Samples]]:
    """Give the chunks of `num` samples, generated in this process or, while the block runs, on a cluster."""
    if local:
        yield in_process(files, settings, chunks=range(num_chunks(num)))
        return
    from ganray.cluster.session import ray_session  # Ray takes a while to import, which `local` does without

    with ray_session(address):
        yield on_cluster(files, settings, num=num)


def _counted(chunks: Iterable[Samples], num: int, progress: Progress | None) -> Iterator[Samples]:
    """Yield the chunks, the last one truncated to `num` samples in all, and report progress in samples."""
    done = 0
    for chunk in chunks:
        samples = chunk[: num - done]
        yield samples
        done += len(samples)
        if progress:
            progress(done, num)
        if done == num:
            return
