"""Export of a published generator: the model is traced once, serialised, loaded again and compared with the module, then written."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganray.errors import ArtifactError, ConfigError
from ganray.export.metadata import Metadata
from ganray.export.onnx import to_onnx
from ganray.export.torch_export import to_torch_export
from ganray.export.trace import Inputs, trace
from ganray.registry.artifact import PublishedGenerator, build_checked, open_artifact, read_artifact
from ganray.storage import ObjectStore
from ganray.storage.files import atomic_write, local_errors

NUM_SAMPLES = 64  # on which an export is compared with the module
BATCHES = (1, 16, 47)  # of them, so that the number of samples is seen to be free
TOLERANCE = 1e-3  # of a value in [-1, 1]: an eighth of a grey level; runtimes sum in different orders
FILES = {"onnx": "model.onnx", "torch-export": "model.pt2"}  # by format; the names that versions hold them under
WRITERS = {"onnx": to_onnx, "torch-export": to_torch_export}


@dataclass(frozen=True)
class Export:
    """A generator in another format: the content of the file, and by how much its samples differ from the module's at most."""

    data: bytes
    largest_difference: float


def export_generator(artifact: str, *, to: str, out: Path | None = None, public_key: Path | None = None) -> tuple[Path, float]:
    """Write a published generator as ONNX ("onnx") or as a program of torch.export ("torch-export").

    Returns the file's path, and by how much its samples differ from the module's at most.
    `artifact` is the URI of a version's folder, or of a model's (then its best); `out` is by default `model.onnx` or `model.pt2` here.
    The model maps `latents` float32 [N, latent_dim], and `labels` int64 [N] if it is conditional, to `samples` [N, C, H, W] in [-1, 1],
    for any N. It was compared with the module on 64 samples before it is written, and its metadata hold the manifest's hash. With
    `public_key`, a PEM file, the artifact must be signed by the private half. Raises `ConfigError` for an unusable format or file, and
    `ArtifactError` for an artifact that is missing or damaged, or if the export differs by more than `TOLERANCE`.
    """
    if to not in FILES:
        raise ConfigError("--to", f"unknown format {to!r}", f"use {' or '.join(FILES)}")
    out = out or Path(FILES[to])
    suffix = Path(FILES[to]).suffix
    if out.suffix != suffix or out.is_dir():
        raise ConfigError("--out", f"expected a file that ends with {suffix}, got {out}", f"name one like {FILES[to]}")
    made = make_export(open_artifact(artifact), to=to, public_key=public_key)
    with local_errors("write", out, field="--out"), atomic_write(out) as file:
        file.write(made.data)
    return out, made.largest_difference


def make_export(version: ObjectStore, *, to: str, public_key: Path | None = None) -> Export:
    """Return the generator of the version in a store in the format `to`; see `export_generator`."""
    manifest, files = read_artifact(version, public_key=public_key)
    generator = build_checked(files, where=version.uri)
    inputs = generator.prior.sample(0, "samples", 0, NUM_SAMPLES)
    metadata = Metadata.of(generator, manifest, version.uri, tolerance=TOLERANCE)
    data, run = WRITERS[to](trace(generator, inputs), metadata)
    return Export(data, _check(generator, inputs, run, where=version.uri))


def _check(generator: PublishedGenerator, inputs: Inputs, run: Callable[[Inputs], Tensor], *, where: str) -> float:
    """Return the largest difference between an export's samples and the module's. Raises `ArtifactError` beyond the tolerance."""
    difference = max(_differences(generator, inputs, run))
    if not difference <= TOLERANCE:
        problem = f"exported, its samples differ by {difference:.2g} from the generator's, and {TOLERANCE:g} is tolerated"
        raise ArtifactError(where, problem, "use the other format of --to, and report this")
    return difference


@torch.no_grad()
def _differences(generator: PublishedGenerator, inputs: Inputs, run: Callable[[Inputs], Tensor]) -> list[float]:
    """Return the largest difference in each of the batches."""
    found, start = list[float](), 0
    for size in BATCHES:
        batch: Any = tuple(None if part is None else part[start : start + size] for part in inputs)
        found.append(float((run(batch) - generator(*batch)).abs().max()))
        start += size
    return found
