"""The weights files of extractors: shipped with ganray, named by a job, or kept beside the dataset that one was fitted to. No torch."""

import hashlib
import json
from importlib.resources import files

from ganray.config import AutoExtractor, ClassifierExtractor, Extractor, RotationExtractor
from ganray.data.dataset import PreparedDataset
from ganray.errors import DataError
from ganray.storage import MissingObject, open_store

ResolvedExtractor = ClassifierExtractor | RotationExtractor

SHIPPED = "shipped:"  # before the name of an extractor that comes with ganray
SEED = 0


def resolved(extractor: Extractor) -> ResolvedExtractor:
    """Return an extractor section, of a resolved job."""
    assert not isinstance(extractor, AutoExtractor), "the job is not resolved"
    return extractor


def find_weights(extractor: ResolvedExtractor, dataset: PreparedDataset) -> tuple[str, bytes | None]:
    """Return where an extractor is kept, and the weights that a job names or an earlier fit left there, None if it is to be fitted."""
    key = extractor_key(extractor, dataset)
    if extractor.weights != "auto":
        return key, named_weights(extractor.weights, field="evaluate.extractor.weights")
    try:
        return key, dataset.storage.read(key)
    except MissingObject:
        return key, None


def named_weights(name: str, *, field: str) -> bytes:
    """Return the weights "shipped:NAME", or those in a file by its URI. Raises `DataError` if there are none."""
    if name.startswith(SHIPPED):
        return shipped_weights(name.removeprefix(SHIPPED))
    try:
        return _read_uri(name)
    except MissingObject:
        remedy = "name a .safetensors file that `ganray fit-extractor` wrote"
        raise DataError(field, f"there is no file {name}", remedy) from None


def shipped_weights(name: str) -> bytes:
    """Return the file of an extractor that comes with ganray, such as "fashion-mnist". Raises `DataError` for another name."""
    if name not in (known := shipped_names()):
        problem = f"no extractor {name!r} comes with ganray"
        raise DataError("evaluate.extractor.weights", problem, f"use auto or {', '.join(SHIPPED + each for each in known)}")
    return files("ganray.metrics").joinpath("weights", f"{name}.safetensors").read_bytes()


def shipped_names() -> list[str]:
    """Return the names of the extractors that come with ganray."""
    names = (file.name for file in files("ganray.metrics").joinpath("weights").iterdir())
    return sorted(name.removesuffix(".safetensors") for name in names if name.endswith(".safetensors"))


def extractor_key(extractor: ResolvedExtractor, dataset: PreparedDataset) -> str:
    """Return where a fitted extractor is kept: beside its dataset, by how it was fitted."""
    settings = json.dumps([extractor.kind, extractor.fit_images, SEED])
    return f"{dataset.folder}/extractors/{extractor.kind}-{hashlib.sha256(settings.encode()).hexdigest()[:8]}.safetensors"


def _read_uri(uri: str) -> bytes:
    """Return a file by its URI, whose settings, if any, stand behind a question mark."""
    path, mark, settings = uri.partition("?")
    folder, _, name = path.rpartition("/")
    return open_store(f"{folder or '.'}{mark}{settings}").read(name)
