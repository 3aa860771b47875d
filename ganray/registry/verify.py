"""Integrity check of a registry: every file is hashed again, the best alias and its history are followed."""

from collections.abc import Mapping
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from safetensors import SafetensorError
from safetensors.torch import load

from ganray.errors import GanrayError
from ganray.registry.alias import read_best, read_history
from ganray.registry.manifest import CONFIG, GENERATOR, MANIFEST, METRICS, Manifest, find_manifest, misplacement, read_file, read_manifest
from ganray.registry.registry import Registry, read_metrics
from ganray.registry.reservation import is_reservation_file, reserved_versions
from ganray.registry.signing import NOT_SIGNED, SIGN_IT, check_signature, load_public_key, signature_name
from ganray.storage import ObjectStore


def verify_model(registry: Registry, name: str, number: str | None = None, *, public_key: Path | None = None) -> dict[str, list[str]]:
    """Return the problems of each version of a model, or of one version, by its number: an empty list for an undamaged one.

    For a whole model, the problems of the alias and its history are under "best". With `public_key`, a PEM file, a version that
    was not signed by its private half is a problem.
    """
    model = registry.existing(name)
    if number is not None:
        store, number = registry.version(name, number)
        return {number: damage(store, public_key=public_key)}
    published = [version for version in reserved_versions(model) if _is_published(model.child(version))]
    found = {version: damage(model.child(version), public_key=public_key) for version in published}
    return {**found, "best": alias_damage(model, published)}


def summary(found: Mapping[str, list[str]]) -> tuple[str, str]:
    """Return what the problems that `verify_model` found come to, and the remedy."""
    problems = [problem for problems in found.values() for problem in problems]
    unsigned = all(problem.endswith(NOT_SIGNED) for problem in problems)
    return (NOT_SIGNED, f"if you trust it, {SIGN_IT}") if unsigned else ("is damaged", "restore it from a copy, or delete it")


def damage(store: ObjectStore, *, public_key: Path | None = None) -> list[str]:
    """Return the problems of the version in `store`, a line each."""
    key = load_public_key(public_key, field="--public-key") if public_key else None
    try:
        manifest = read_manifest(store)
    except GanrayError as error:
        return [_problem(error)]
    problems = [problem] if (problem := _distrust(store, manifest, key)) else []
    problems += [problem for name in manifest.files if (problem := _file_damage(store, manifest, name))]
    known = {*manifest.files, MANIFEST, signature_name(manifest.hash)}
    problems += [f"{name} is missing from the manifest" for name in (GENERATOR, CONFIG, METRICS) if name not in manifest.files]
    return problems + [
        f"{info.key} is not named by the manifest" for info in store.list() if info.key not in known and not is_reservation_file(info.key)
    ]


def alias_damage(model: ObjectStore, published: list[str]) -> list[str]:
    """Return the problems of a model's alias and its history, a line each."""
    try:
        best, events = read_best(model), read_history(model)
    except GanrayError as error:
        return [_problem(error)]
    if best is None:
        return ["there is no best version"] if any(_may_be_best(model.child(number)) for number in published) else []
    problems = [] if best.version in published else [f"the best, {best.version}, is missing"]
    numbers = [event.number for event in events]
    if numbers != list(range(1, len(numbers) + 1)):
        problems.append(f"the history has moves {numbers}, expected 1, 2, 3 and so on")
    if events and events[-1].to_version != best.version:
        problems.append(f"the history ends at {events[-1].to_version}, and the best is {best.version}")
    return problems


def _may_be_best(version: ObjectStore) -> bool:
    """Whether a version has a score, or its scores cannot be read; one without is never made the best by its publication."""
    try:
        return read_metrics(version, read_manifest(version)).score is not None
    except GanrayError:
        return True


def _is_published(store: ObjectStore) -> bool:
    try:
        manifest = find_manifest(store)
    except GanrayError:
        return True  # and damaged
    return manifest is not None and manifest.deleted is None


def _distrust(store: ObjectStore, manifest: Manifest, key: Ed25519PublicKey | None) -> str | None:
    """Return why a manifest is not that of the version in `store`: another version's, or not signed by the private half of `key`."""
    if key is None:
        problem = misplacement(store, manifest)
        return f"{store.uri} {problem}" if problem else None
    try:
        check_signature(store, manifest, key)
    except GanrayError as error:
        return _problem(error)
    return None


def _file_damage(store: ObjectStore, manifest: Manifest, name: str) -> str | None:
    try:
        data = read_file(store, name, manifest.files[name])
        if name == GENERATOR:
            load(data)
        if name == METRICS:
            read_metrics(store, manifest)
    except GanrayError as error:
        return _problem(error)
    except SafetensorError:
        return f"{name} is not a safetensors file"
    return None


def _problem(error: GanrayError) -> str:
    return f"{error.field} {error.problem}"
