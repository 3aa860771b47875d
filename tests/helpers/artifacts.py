"""Small published generators for the registry's tests."""

import subprocess
from pathlib import Path

import safetensors.torch

from ganray.config import DcganNetworks
from ganray.gan.networks import build_networks
from ganray.gan.prior import Prior
from ganray.metrics.score import Protocol
from ganray.modalities.image_codec import ImageCodec
from ganray.registry.generator_config import generator_config
from ganray.registry.manifest import CONFIG, GENERATOR, METRICS, to_json
from ganray.registry.promotion import promote_if_better
from ganray.registry.registry import Registry

NETWORKS = DcganNetworks(width=8, latent_dim=8, ghost_batch=4)
SHAPE = (1, 16, 16)
PROTOCOL = Protocol(metric="metric/frechet", dataset="a", extractor="b", num_samples=10, seed=0)


def artifact(seed: int = 0, score: float = 1.0, *, contrast: float = 1.0, classes: list[str] | None = None) -> dict[str, bytes]:
    """Return the files of a generator that nobody trained; its samples are nearly grey, but for a higher `contrast`."""
    shares = tuple(1 / len(classes) for _ in classes) if classes else ()
    networks = NETWORKS.model_copy(update={"conditional": bool(classes)})
    generator, _ = build_networks(networks, SHAPE, seed=seed, num_classes=len(shares))
    weights = {name: tensor * contrast if tensor.ndim == 4 else tensor for name, tensor in generator.state_dict().items()}
    return {
        GENERATOR: safetensors.torch.save(weights),
        CONFIG: to_json(generator_config(networks, ImageCodec.of_shape(SHAPE), Prior(networks.latent_dim, shares), classes)),
        METRICS: to_json({"scores": {"metric/frechet": score}, "protocol": PROTOCOL.dump()}),
    }


def never(incumbent: str) -> float:
    raise AssertionError(f"{incumbent} was scored again")


def publish(registry: Registry, *scores: float, model: str = "m", signing_key: Path | None = None) -> list[str]:
    """Publish a version a score, each of which becomes the best if it is, and return their numbers."""
    numbers = []
    for score in scores:
        files = artifact(seed=int(score * 10), score=score, contrast=8.0)
        numbers.append(registry.publish(model, files, {"images_seen": 1}, key=f"{score}", signing_key=signing_key))
        promote_if_better(registry.model(model), numbers[-1], score, PROTOCOL, rescore=never)
    return numbers


def make_keys(folder: Path, name: str = "signing") -> tuple[Path, Path]:
    """Make a private key and its public half with openssl, as the README does, and return their files."""
    private, public = folder / f"{name}.pem", folder / f"{name}.pub.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(private)], check=True, capture_output=True)
    subprocess.run(["openssl", "pkey", "-in", str(private), "-pubout", "-out", str(public)], check=True, capture_output=True)
    return private, public
