"""The artifact of a published generator: its files and how they are loaded. Safetensors and JSON, never a pickle."""

from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from safetensors import SafetensorError
from torch import Tensor, nn

from ganray.errors import ArtifactError
from ganray.gan.layouts import layout_of
from ganray.gan.prior import Prior
from ganray.modalities.codec import Codec
from ganray.registry.alias import read_best
from ganray.registry.generator_config import InvalidConfig, check_weights, parse_config
from ganray.registry.manifest import CONFIG, GENERATOR, Manifest, read_file, read_manifest
from ganray.registry.signing import check_signature, load_public_key
from ganray.storage import ObjectStore, open_store


class PublishedGenerator(nn.Module):
    """A generator with what its inputs are: maps latents [N, latent_dim], and labels [N] if it is conditional, to samples.

    They are images in [-1, 1], or what the `layout` of another kind makes stored samples of, which the `codec` describes and writes.
    `classes` are the names of the classes by number, None where they have none; `prior` is the distribution of the inputs.
    """

    def __init__(self, network: nn.Module, prior: Prior, classes: list[str] | None, codec: Codec) -> None:
        super().__init__()
        self.network, self.prior, self.classes, self.codec = network, prior, classes, codec
        self.layout = layout_of(codec)

    @property
    def latent_dim(self) -> int:
        """The size of a latent vector."""
        return self.prior.latent_dim

    @property
    def num_classes(self) -> int:
        """The number of classes, 0 for an unconditional generator."""
        return self.prior.num_classes

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return samples, [N, C, H, W] in [-1, 1] of images, of latents float [N, latent_dim] and, if conditional, labels int64 [N]."""
        samples: Tensor = self.network(latents, labels)
        return samples


def load_generator(uri: str, *, public_key: str | Path | None = None) -> PublishedGenerator:
    """Return a published generator, in eval mode on the CPU, verified against its manifest.

    `uri` is a version's folder, or a model's (then its best version), local or `s3://`. The module maps latents
    [N, latent_dim], and labels [N] if it is conditional, to samples, images [N, C, H, W] in [-1, 1]. With `public_key`, a PEM file,
    it must be signed by the private half, as the model and version that its folder names. Raises `ArtifactError` for an artifact
    that is missing, damaged or not signed, `ConfigError` for a malformed URI or key file, `StorageError` for a storage that cannot
    be read.
    """
    store = open_artifact(uri)
    _, files = read_artifact(store, public_key=public_key)
    return build_checked(files, where=store.uri)


def open_artifact(uri: str) -> ObjectStore:
    """Return the store of a version, given the URI of its folder, or of its model's folder (then the best)."""
    store = open_store(uri)
    best = read_best(store)
    return store.child(best.version) if best else store


def read_artifact(store: ObjectStore, *, public_key: Ed25519PublicKey | str | Path | None = None) -> tuple[Manifest, dict[str, bytes]]:
    """Return an artifact's manifest, verified against its signature if a key, or its file, is given, and its files by name.

    Each file is verified against the manifest.
    """
    manifest = read_manifest(store)
    if public_key is not None:
        key = public_key if isinstance(public_key, Ed25519PublicKey) else load_public_key(public_key, field="--public-key")
        check_signature(store, manifest, key)
    return manifest, {name: read_file(store, name, entry) for name, entry in manifest.files.items()}


def build_checked(files: Mapping[str, bytes], *, where: str) -> PublishedGenerator:
    """Return the generator in untrusted files, of which nothing is built before config and weights were found to fit together.

    Raises `ArtifactError`, naming `where` they were read, for files that do not.
    """
    try:
        check_weights(parse_config(files[CONFIG]), files[GENERATOR])
        return build(files)
    except (SafetensorError, KeyError, RuntimeError, TypeError, ValueError, OverflowError) as error:
        reason = str(error) if isinstance(error, InvalidConfig) else type(error).__name__
        problem = f"holds no generator that ganray can build ({reason})"
        raise ArtifactError(where, problem, "do not use it, or update ganray if a newer one published it") from error


def build(files: Mapping[str, bytes]) -> PublishedGenerator:
    """Return the generator in an artifact's files, in eval mode. Any exception may come of files that were not checked."""
    config = parse_config(files[CONFIG])
    network = config.network()
    network.load_state_dict(safetensors.torch.load(files[GENERATOR]))
    return PublishedGenerator(network, config.prior, config.classes, config.codec).eval().requires_grad_(False)
