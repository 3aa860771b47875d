"""Directions of a published generator's latents: what each moves, as numbers and as a sheet of samples along it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ganray.config.compatibility import KINDS
from ganray.errors import ArtifactError, ConfigError, DataError
from ganray.evaluation.extractor_weights import named_weights, shipped_names, shipped_weights
from ganray.gan.directions import find_directions
from ganray.gan.sampling import CHUNK, chunk_inputs
from ganray.metrics.feature_extractor import FeatureNetwork, extractor_hash, facts, load_extractor
from ganray.modalities.image import Pixels, grid
from ganray.registry.artifact import PublishedGenerator, build_checked, open_artifact, read_artifact
from ganray.registry.manifest import DIRECTIONS, METRICS
from ganray.storage.files import atomic_write, local_errors

STEPS = 7  # samples along a direction, from -reach to reach
NUM_SCORED = 256  # samples whose classes are compared
NUM_NAMED = 3  # classes that a sheet names for each direction
MARGIN = 4  # pixels
SHEET = "directions.png"


@dataclass(frozen=True)
class Classifier:
    """A network that tells the data's classes apart, and their names."""

    network: FeatureNetwork
    classes: list[str]


def write_directions(
    artifact: str,
    *,
    num: int,
    out: Path,
    reach: float = 3.0,
    samples: int = 2,
    seed: int = 0,
    extractor: str | None = None,
    public_key: Path | None = None,
) -> dict[str, Any]:
    """Write a published generator's `num` most effective directions to the folder `out`, and return what `directions.json` says.

    `directions.png` shows `samples` samples along each, moved by -reach to reach standard deviations of a latent. With a classifier, the
    extractor of the version's scores if it ships with ganray, or the file `extractor`, each direction has its `effects`: by how much
    the mean probability of each class rises from -reach to reach, over 256 samples. Raises `ConfigError` for an unusable number or
    extractor, `ArtifactError` for an artifact that is missing or damaged, or whose generator does not begin with a linear layer.
    """
    version = open_artifact(artifact)
    manifest, files = read_artifact(version, public_key=public_key)
    generator = _of_images(build_checked(files, where=version.uri))
    if not 1 <= num <= generator.latent_dim:
        raise ConfigError("--num", f"expected 1 to {generator.latent_dim}, the size of a latent vector, got {num}", "ask for fewer")
    try:
        directions = find_directions(generator, generator.prior, num)
    except ValueError as error:
        raise ArtifactError(version.uri, str(error), "directions are found in the first layer of generators that begin with one") from None
    classifier = find_classifier(files, extractor)
    effects = [measure_effects(generator, vector, reach, classifier) if classifier else {} for vector in directions.vectors]
    entries = [entry | {"effects": effect} for entry, effect in zip(directions.to_json(), effects, strict=True)]
    facts = {"manifest": manifest.hash, "reach": reach, "directions": entries}
    strips = [draw_strip(generator, vector, reach, samples=samples, seed=seed) for vector in directions.vectors]
    captions = [_caption(number, entry) for number, entry in enumerate(entries, start=1)]
    with local_errors("write", out, field="--out"):
        out.mkdir(parents=True, exist_ok=True)
        with atomic_write(out / SHEET) as file:
            draw_sheet(strips, captions).save(file, format="PNG")
        with atomic_write(out / DIRECTIONS) as file:
            file.write(json.dumps(facts, indent=2).encode())
    return facts


def _of_images(generator: PublishedGenerator) -> PublishedGenerator:
    """Return a generator of images. Raises `ConfigError` for one of another kind of samples."""
    if generator.codec.kind != "image":
        raise ConfigError("ARTIFACT", f"makes {KINDS[generator.codec.kind].nouns}, and directions are shown in images", "name another")
    return generator


def find_classifier(files: dict[str, bytes], extractor: str | None) -> Classifier | None:
    """Return the classifier in the file `extractor`, or the shipped one that the version was scored by, None if it was another."""
    if extractor:
        weights: bytes | None = named_weights(extractor, field="--extractor")
    else:
        used = json.loads(files[METRICS])["protocol"].get("extractor")
        weights = next((data for data in map(shipped_weights, shipped_names()) if extractor_hash(data) == used), None)
    if weights is None:
        return None
    classes = facts(weights).get("classes")
    if not classes:
        raise DataError("--extractor", "it was not fitted to tell classes apart", "name one that was, of kind classifier")
    return Classifier(load_extractor(weights), classes)


@torch.no_grad()
def measure_effects(generator: PublishedGenerator, vector: Tensor, reach: float, classifier: Classifier) -> dict[str, float]:
    """Return by how much the mean probability of each class rises from one end of a direction to the other, -1 to 1."""
    shares = []
    for step in (-reach, reach):
        logits = [classifier.network.logits(_moved(generator, vector, step, chunk)) for chunk in range(NUM_SCORED // CHUNK)]
        shares.append(torch.cat(logits).softmax(1).mean(0))
    return dict(zip(classifier.classes, (shares[1] - shares[0]).tolist(), strict=True))


@torch.no_grad()
def draw_strip(generator: PublishedGenerator, vector: Tensor, reach: float, *, samples: int, seed: int) -> Image.Image:
    """Draw the first samples, a row each, moved along a direction in `STEPS` steps."""
    columns = [_moved(generator, vector, step, 0, seed=seed)[:samples] for step in np.linspace(-reach, reach, STEPS)]
    images: Pixels = torch.stack(columns, dim=1).flatten(0, 1).numpy()
    return grid(images, columns=STEPS)


def draw_sheet(strips: list[Image.Image], captions: list[str]) -> Image.Image:
    """Draw strips below one another, with a caption above each."""
    font = ImageFont.load_default(size=13)
    height = 13 + 2 * MARGIN
    width = max(strip.width for strip in strips) + 2 * MARGIN
    sheet = Image.new("RGB", (width, sum(strip.height + height for strip in strips)), "white")
    draw, top = ImageDraw.Draw(sheet), 0
    for strip, caption in zip(strips, captions, strict=True):
        draw.text((MARGIN, top + MARGIN), caption, fill="black", font=font)
        sheet.paste(strip.convert("RGB"), (MARGIN, top + height))
        top += strip.height + height
    return sheet


def _moved(generator: PublishedGenerator, vector: Tensor, step: float, chunk: int, *, seed: int = 0) -> Tensor:
    """Return a chunk of samples, uint8, whose latents are moved along a direction."""
    latents, labels = chunk_inputs(generator.prior, seed=seed, chunk=chunk)
    return generator.layout.to_samples(generator(latents + step * vector, labels))


def _caption(number: int, entry: dict[str, Any]) -> str:
    """Return a direction's number, its gain, and the classes that it moves most."""
    moved = sorted(entry["effects"].items(), key=lambda effect: -abs(effect[1]))[:NUM_NAMED]
    named = "".join(f"   {name} {change:+.2f}" for name, change in moved)
    return f"{number}   gain {entry['gain']:.2f}{named}"
