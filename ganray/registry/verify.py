"""Whether what lies in a registry still is what was published: every file hashed again, the pointer and its history followed."""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load

from ganray.errors import GanrayError
from ganray.registry.alias import read_best, read_history
from ganray.registry.artifact import CONFIG, GENERATOR, METRICS
from ganray.registry.manifest import MANIFEST, Manifest, find_manifest, read_file, read_manifest
from ganray.registry.registry import Registry, read_metrics
from ganray.registry.reservation import claimed, is_of_claim
from ganray.registry.signing import check_signature, load_public_key, signature_name
from ganray.storage import ObjectStore, child


def verify_model(registry: Registry, name: str, number: str | None = None, *, public_key: Path | None = None) -> dict[str, list[str]]:
    """Return what is wrong with each version of a model, or with one, nothing for those that are whole.

    Over a whole model, what is wrong with the pointer and its history stands under "best".
    """
    model = registry.existing(name)
    if number is not None:
        store, number = registry.version(name, number)
        return {number: damage(store, public_key=public_key)}
    live = [version for version in claimed(model) if _is_published(child(model, version))]
    found = {version: damage(child(model, version), public_key=public_key) for version in live}
    return {**found, "best": damage_of_pointer(model, live)}


def damage(store: ObjectStore, *, public_key: Path | None = None) -> list[str]:
    """Return what is wrong with the version in `store`, a line each."""
    key = load_public_key(public_key, field="--public-key") if public_key else None
    try:
        manifest = read_manifest(store)
        if key:
            check_signature(store, manifest, key)
    except GanrayError as error:
        return [_said(error)]
    problems = [problem for name in manifest.files if (problem := _damage_of_file(store, manifest, name))]
    known = {*manifest.files, MANIFEST, signature_name(manifest.hash)}
    problems += [f"{name} is missing from the manifest" for name in (GENERATOR, CONFIG, METRICS) if name not in manifest.files]
    return problems + [
        f"{info.key} is not named by the manifest" for info in store.list() if info.key not in known and not is_of_claim(info.key)
    ]


def damage_of_pointer(model: ObjectStore, live: list[str]) -> list[str]:
    """Return what is wrong with a model's pointer and its history."""
    try:
        best, events = read_best(model), read_history(model)
    except GanrayError as error:
        return [_said(error)]
    if best is None:
        return ["there is no best version"]
    problems = [] if best.version in live else [f"the best, {best.version}, is not there"]
    numbers = [event.number for event in events]
    if numbers != list(range(1, len(numbers) + 1)):
        problems.append(f"the history has moves {numbers}, where none should be missing")
    if events and events[-1].to_version != best.version:
        problems.append(f"the history ends at {events[-1].to_version}, and the best is {best.version}")
    return problems


def _is_published(store: ObjectStore) -> bool:
    try:
        manifest = find_manifest(store)
    except GanrayError:
        return True  # it is, and damaged
    return manifest is not None and manifest.deleted is None


def _damage_of_file(store: ObjectStore, manifest: Manifest, name: str) -> str | None:
    try:
        data = read_file(store, name, manifest.files[name])
        if name == GENERATOR:
            load(data)
        if name == METRICS:
            read_metrics(store, manifest)
    except GanrayError as error:
        return _said(error)
    except SafetensorError:
        return f"{name} is no safetensors file"
    return None


def _said(error: GanrayError) -> str:
    return f"{error.field} {error.problem}"
