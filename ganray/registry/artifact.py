"""A published generator: its files, their manifest, and loading it from wherever it lies. Safetensors and JSON, never a pickle."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import safetensors.torch
from pydantic import TypeAdapter
from torch import nn

from ganray.config import Networks, UserError
from ganray.gan.networks import build_generator
from ganray.gan.prior import Prior
from ganray.store import MissingObject, ObjectStore, child, open_store

FORMAT = 1
GENERATOR, CONFIG, METRICS, SAMPLES, CARD, MANIFEST = (
    "generator.safetensors",
    "config.json",
    "metrics.json",
    "samples.png",
    "README.md",
    "manifest.json",
)
BEST = "best.json"


def generator_config(networks: Networks, shape: tuple[int, int, int], prior: Prior, classes: list[str] | None) -> dict[str, Any]:
    """Return the content of an artifact's `config.json`: what it takes to build the generator of samples [C, H, W]."""
    return {
        "format": FORMAT,
        "networks": networks.model_dump(mode="json"),
        "shape": list(shape),
        "num_classes": prior.num_classes,
        "class_shares": list(prior.class_shares),
        "classes": classes,
    }


def make_manifest(files: Mapping[str, bytes], lineage: Mapping[str, Any]) -> bytes:
    """Return the manifest of an artifact: size and SHA-256 of every other file, and where it comes from."""
    entries = {name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in sorted(files.items())}
    return to_json({"format": FORMAT, "files": entries, "lineage": lineage})


def to_json(data: Any) -> bytes:
    """Return plain data as readable JSON, refusing numbers that JSON does not have."""
    return (json.dumps(data, indent=1, allow_nan=False) + "\n").encode()


def load_generator(uri: str) -> nn.Module:
    """Return a published generator, in eval mode on the CPU, with `latent_dim` and `num_classes`.

    `uri` is a version's folder, or a model's (then its best version), local or `s3://`. The module maps latents
    [N, latent_dim], and labels [N] if it is conditional, to samples [N, C, H, W] in [-1, 1]. Raises `UserError` if nothing is
    there or it is not what was published.
    """
    return build(read_artifact(open_artifact(uri)))


def open_artifact(uri: str) -> ObjectStore:
    """Return the store of the version that an ARTIFACT names."""
    store = open_store(uri)
    best = read_best(store)
    return child(store, best["version"]) if best else store


def read_best(store: ObjectStore) -> dict[str, Any] | None:
    """Return a model's best pointer, or None."""
    try:
        return json.loads(store.read(BEST))
    except MissingObject:
        return None
    except ValueError:
        raise UserError(f"{store.uri}/{BEST}", "is broken", "restore it from a copy, or name a version's folder") from None


def read_artifact(store: ObjectStore) -> dict[str, bytes]:
    """Return an artifact's files by name, each checked against the manifest."""
    manifest = read_manifest(store)
    return {name: read_file(store, name, entry) for name, entry in manifest["files"].items()}


def read_manifest(store: ObjectStore) -> dict[str, Any]:
    """Return an artifact's manifest; raise `UserError` if there is no artifact."""
    try:
        manifest = json.loads(store.read(MANIFEST))
        if manifest["format"] > FORMAT:
            raise UserError(store.uri, f"is of format {manifest['format']}", "update ganray to read it")
    except MissingObject:
        raise UserError(
            store.uri, "holds no published generator", "name a version's folder or a model's, as `ganray models list` shows"
        ) from None
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{store.uri}/{MANIFEST}", "is broken", "publish again, or restore it from a copy") from None
    return manifest


def build(files: Mapping[str, bytes]) -> nn.Module:
    """Return the generator that an artifact's files describe, with `latent_dim`, `num_classes`, `classes` and `prior`."""
    config = json.loads(files[CONFIG])
    networks = TypeAdapter(Networks).validate_python(config["networks"])
    prior = Prior(networks.latent_dim, tuple(config["class_shares"]))
    generator = build_generator(networks, tuple(config["shape"]), prior.num_classes)
    generator.load_state_dict(safetensors.torch.load(files[GENERATOR]))
    generator.prior, generator.classes = prior, config["classes"]
    generator.latent_dim, generator.num_classes = prior.latent_dim, prior.num_classes
    return generator.eval().requires_grad_(False)


def read_file(store: ObjectStore, name: str, entry: Mapping[str, Any]) -> bytes:
    """Return a file of an artifact; raise `UserError` unless it is what its entry in the manifest says."""
    try:
        data = store.read(name)
    except MissingObject:
        raise UserError(f"{store.uri}/{name}", "is missing", "publish again, or restore it from a copy") from None
    if len(data) != entry["size"]:
        raise UserError(
            f"{store.uri}/{name}", f"has {len(data)} bytes where {entry['size']} were published", "publish again, or restore it from a copy"
        )
    if hashlib.sha256(data).hexdigest() != entry["sha256"]:
        raise UserError(
            f"{store.uri}/{name}", "does not have the published SHA-256", "do not use it; publish again, or restore it from a copy"
        )
    return data
