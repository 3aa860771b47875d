"""Many samples from a published generator, through Ray Data or in this process, pixel for pixel the same."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import nn

from ganray.cluster.session import ray_session
from ganray.errors import ConfigError
from ganray.gan.sampling import CHUNK, num_chunks, sample_chunk
from ganray.generate.record import KEY, Record, make_record
from ganray.modalities.image import encode_png, grid_png
from ganray.registry.artifact import build, build_checked, open_artifact, read_artifact
from ganray.registry.manifest import read_manifest
from ganray.storage.local import local_errors

MAX_GRID_SAMPLES = 4096
BLOCKS_A_CPU = 4  # tasks of Ray Data: few enough that building the generator does not count
Progress = Callable[[int, int], None]


def generate(
    artifact: str,
    *,
    num: int,
    seed: int,
    out: Path,
    label: str | None = None,
    local: bool = False,
    address: str | None = None,
    public_key: Path | None = None,
    progress: Progress | None = None,
) -> Path:
    """Write samples 0 to num - 1 of a published generator and return where they are.

    `out` is a `.png` (a grid), a `.parquet` file (columns `index`, `image`: uint8 CHW bytes), or else a folder of PNG files
    named by index. Sample i depends on the artifact, the seed, i and `label` alone. That is a class of a conditional generator,
    by name or number, for all samples; without it classes are as frequent as in the training data. `local` makes them in this
    process, without Ray.
    Every file carries a record of what made it. With `public_key`, a PEM file, the artifact must be signed by its other half.
    """
    check_out(out, num)
    store = open_artifact(artifact)
    files = read_artifact(store, public_key=public_key)
    number = class_number(build_checked(files, where=store.uri), label)
    record = make_record(store, read_manifest(store), seed=seed, label=number)
    if local:
        _write(out, num, in_process(files, chunks=range(num_chunks(num)), seed=seed, label=number), record, progress)
    else:
        with ray_session(address):
            _write(out, num, on_cluster(files, num=num, seed=seed, label=number), record, progress)
    return out


def class_number(generator: nn.Module, label: str | None) -> int | None:
    """Return the number of the class that a name or number means, None for None; raise `GanrayError` if there is no such class."""
    if label is None:
        return None
    if not generator.num_classes:
        raise ConfigError("--class", "this generator is not conditional", "leave it out, or train with networks.conditional=true")
    names = generator.classes or []
    if label in names:
        return names.index(label)
    if label.isdecimal() and int(label) < generator.num_classes:
        return int(label)
    raise ConfigError("--class", f"there is no class {label!r}", f"use one of {', '.join(names) or f'0 to {generator.num_classes - 1}'}")


def check_out(out: Path, num: int) -> None:
    """Raise `GanrayError` if samples cannot be written to `out`."""
    if out.suffix == ".png" and num > MAX_GRID_SAMPLES:
        raise ConfigError(
            "--out",
            f"a grid of {num} pictures is too large to look at",
            f"name a folder or a .parquet file, or ask for {MAX_GRID_SAMPLES} at most",
        )
    if out.suffix not in (".png", ".parquet", ""):
        raise ConfigError("--out", f"{out.suffix!r} is no format that samples can be written in", "name a .png, a .parquet or a folder")
    nearest = next(parent for parent in (out, *out.absolute().parents) if parent.exists())
    if nearest != out and not nearest.is_dir():
        raise ConfigError("--out", f"{nearest} is a file", "name a folder that exists or can be made")


def in_process(files: dict[str, bytes], *, chunks: Iterable[int], seed: int, label: int | None = None) -> Iterator[np.ndarray]:
    """Yield chunks of samples by their numbers, uint8 [CHUNK, C, H, W], made on one thread so that the pixels are those of a cluster's."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        generator = build(files)
        for chunk in chunks:
            yield sample_chunk(generator, generator.prior, seed=seed, chunk=chunk, label=label).numpy()
    finally:
        torch.set_num_threads(before)


def on_cluster(files: dict[str, bytes], *, num: int, seed: int, label: int | None) -> Iterator[np.ndarray]:
    """Yield the chunks of samples in order, made by as many workers as the cluster gives."""
    import ray

    cpus = max(int(ray.cluster_resources().get("CPU", 1)), 1)
    chunks = ray.data.range(num_chunks(num), override_num_blocks=min(num_chunks(num), BLOCKS_A_CPU * cpus))
    chunks.context.execution_options.preserve_order = True
    for row in chunks.map_batches(partial(make_chunks, weights=ray.put(files), seed=seed, label=label), batch_size=None).iter_rows():
        yield row["pixels"]


def make_chunks(block: dict[str, np.ndarray], *, weights: Any, seed: int, label: int | None) -> dict[str, np.ndarray]:
    """Return a block of chunks, by their numbers, as uint8 [n, CHUNK, C, H, W]."""
    import ray

    torch.set_num_threads(1)
    generator = build(ray.get(weights))
    chunks = [sample_chunk(generator, generator.prior, seed=seed, chunk=int(chunk), label=label) for chunk in block["id"]]
    return {"pixels": torch.stack(chunks).numpy()}


def _write(out: Path, num: int, chunks: Iterable[np.ndarray], record: Record, progress: Progress | None) -> None:
    counted = _counted(chunks, num, progress)
    with local_errors("write", out, field="--out"):
        out.parent.mkdir(parents=True, exist_ok=True)
        if out.suffix == ".png":
            png = grid_png(np.concatenate(list(counted)), record.of(num=num).texts())
            _replace(out, lambda aside: aside.write_bytes(png))
        elif out.suffix == ".parquet":
            _replace(out, lambda aside: _write_parquet(aside, counted, record.of(num=num)))
        else:
            out.mkdir(exist_ok=True)
            for index, image in enumerate(image for chunk in counted for image in chunk):
                (out / f"{index:06d}.png").write_bytes(encode_png(image, record.of(index=index).texts()))


def _counted(chunks: Iterable[np.ndarray], num: int, progress: Progress | None) -> Iterator[np.ndarray]:
    """Yield the chunks, the last cut so that there are `num` samples, and tell how far it is."""
    for number, chunk in enumerate(chunks):
        wanted = chunk[: num - number * CHUNK]
        yield wanted
        if progress:
            progress(number * CHUNK + len(wanted), num)


def _write_parquet(path: Path, chunks: Iterable[np.ndarray], record: Record) -> None:
    writer, index = None, 0
    for chunk in chunks:
        flat = chunk.reshape(len(chunk), -1)
        images = pa.FixedSizeBinaryArray.from_buffers(pa.binary(flat.shape[1]), len(flat), [None, pa.py_buffer(np.ascontiguousarray(flat))])
        table = pa.table({"index": np.arange(index, index + len(chunk)), "image": images})
        if writer is None:
            facts = {b"shape": str(list(chunk.shape[1:])).encode(), KEY.encode(): record.to_json().encode()}
            writer = pq.ParquetWriter(path, table.schema.with_metadata(facts), compression="zstd")
        writer.write_table(table.replace_schema_metadata(writer.schema.metadata))
        index += len(chunk)
    writer.close()


def _replace(path: Path, write: Callable[[Path], None]) -> None:
    """Write a file aside and put it in place once it is whole."""
    aside = path.with_name(f".{path.name}.part")
    try:
        write(aside)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
