"""A published generator: its files, their manifest, and loading it from wherever it lies. Safetensors and JSON, never a pickle."""

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from pydantic import TypeAdapter
from safetensors import SafetensorError
from torch import nn

from ganray.config import Networks
from ganray.config.renamed import modernise
from ganray.errors import ArtifactError
from ganray.gan.networks import build_generator
from ganray.gan.prior import Prior
from ganray.registry.alias import VERSION, read_best
from ganray.registry.manifest import Manifest, read_file, read_manifest
from ganray.registry.signing import check_signature, load_public_key
from ganray.storage import ObjectStore, child, open_store

FORMAT = 2  # of config.json; 1 had other names for some fields, which `modernise` reads
GENERATOR, CONFIG, METRICS, SAMPLES, CARD = "generator.safetensors", "config.json", "metrics.json", "samples.png", "README.md"


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


def load_generator(uri: str, *, public_key: str | Path | None = None) -> nn.Module:
    """Return a published generator, in eval mode on the CPU, with `latent_dim` and `num_classes`.

    `uri` is a version's folder, or a model's (then its best version), local or `s3://`. The module maps latents
    [N, latent_dim], and labels [N] if it is conditional, to samples [N, C, H, W] in [-1, 1]. With `public_key`, a PEM file,
    only what its other half signed is loaded. Raises `GanrayError` if nothing is there or it is not what was published.
    """
    store = open_artifact(uri)
    return build_checked(read_artifact(store, public_key=public_key), where=store.uri)


def open_artifact(uri: str) -> ObjectStore:
    """Return the store of the version that an ARTIFACT names."""
    store = open_store(uri)
    best = read_best(store)
    return child(store, best.version) if best else store


def read_artifact(store: ObjectStore, *, public_key: str | Path | None = None) -> dict[str, bytes]:
    """Return an artifact's files by name, each checked against the manifest, and that against a signature if there is a key."""
    manifest = read_manifest(store)
    if public_key is not None:
        check_signature(store, manifest, load_public_key(public_key, field="--public-key"))
        _check_place(store, manifest)
    return {name: read_file(store, name, entry) for name, entry in manifest.files.items()}


def _check_place(store: ObjectStore, manifest: Manifest) -> None:
    """Raise `GanrayError` if a signed version lies where another should: an old one, passed off as new."""
    *_, number = store.root.split("/")
    signed = manifest.lineage.get("version")
    if VERSION.fullmatch(number) and number != signed:
        raise ArtifactError(store.uri, f"says that it is version {signed}", "do not use it; pull it from where it was published")


def build_checked(files: Mapping[str, bytes], *, where: str) -> nn.Module:
    """Return the generator that files from elsewhere describe; raise `GanrayError`, before memory is taken, if they fit together badly."""
    try:
        with warnings.catch_warnings(), torch.device("meta"):
            warnings.simplefilter("ignore")  # that nothing is copied is the point: what a hostile config asks for is only compared
            build(files)
        return build(files)
    except (SafetensorError, KeyError, RuntimeError, TypeError, ValueError, OverflowError, RecursionError) as error:
        problem = f"holds no generator that ganray can build ({type(error).__name__})"
        raise ArtifactError(where, problem, "do not use it, or update ganray if a newer one published it") from error


def build(files: Mapping[str, bytes]) -> nn.Module:
    """Return the generator that an artifact's files describe, with `latent_dim`, `num_classes`, `classes` and `prior`."""
    config = json.loads(files[CONFIG])
    if config["format"] > FORMAT:
        raise ValueError(f"{CONFIG} is of format {config['format']}")
    networks: Networks = TypeAdapter(Networks).validate_python(modernise({"networks": config["networks"]})["networks"])
    prior = Prior(networks.latent_dim, tuple(config["class_shares"]))
    generator = build_generator(networks, tuple(config["shape"]), prior.num_classes)
    generator.load_state_dict(safetensors.torch.load(files[GENERATOR]))
    generator.prior, generator.classes = prior, config["classes"]
    generator.latent_dim, generator.num_classes = prior.latent_dim, prior.num_classes
    return generator.eval().requires_grad_(False)
