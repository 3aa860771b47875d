"""Recipes on colour images: the one that jobs/folder.yaml ships against others, for as many images each, a step in turn.

`--data` names Parquet files as CIFAR-10 is distributed: a struct image{bytes, path} and a column `label`. The score is the Frechet
distance of samples to the images that were trained on, in the features of a classifier of their classes that is fitted here.
"""

import argparse
import itertools
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from torch import Tensor

from benchmarks.fashion import Ganray, LabelledImages
from ganray.config import Job, load_job
from ganray.gan.sampling import CHUNK
from ganray.metrics.feature_extractor import FeatureNetwork
from ganray.metrics.fitting import Dataset, fit_classifier
from ganray.metrics.frechet import Moments, frechet_distance
from ganray.modalities.image import Target, decode, grid

FOLDER = Path(__file__).parents[1] / "jobs/folder.yaml"
NUM_SAMPLES = 5_000
ADAM = "optimizer.{}={{lr: {}, beta1: {}, beta2: 0.999}}"
PLAIN = ["networks.conditional=false", "loss={kind: non-saturating}", "penalties={r1_gamma: 0.0, every: 1}"]
PLAIN += [ADAM.format(network, 2e-4, 0.5) for network in ("generator", "discriminator")]
TUNED = ["loss={kind: hinge}", "penalties={r1_gamma: 1.0, every: 4}"]
TUNED += [ADAM.format(network, "{start: 2e-3, end: 1e-6}", 0.0) for network in ("generator", "discriminator")]
RECIPES = {
    "shipped": [],
    "plain": PLAIN,
    "plain + diff-augment": [*PLAIN, "augment={kind: diff-augment}"],
    "hinge + R1": [*TUNED, "networks.conditional=false"],
    "hinge + R1, conditional": [*TUNED, "networks.conditional=true"],
    "hinge + R1, mirror": [*TUNED, "networks.conditional=false", "augment={kind: none, mirror: true}"],
    "hinge + R1, diff-augment": [*TUNED, "networks.conditional=false", "augment={kind: diff-augment}"],
    "hinge + R1, translation": [*TUNED, "networks.conditional=false", "augment={kind: diff-augment, policies: [translation]}"],
}


def main() -> None:
    """Train all recipes, print their scores, best first, and write a grid of samples of each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a Parquet file")
    parser.add_argument("--count", type=int, help="train on the first images only")
    parser.add_argument("--side", type=int, default=32, help="pixels")
    parser.add_argument("--width", type=int, default=24, help="networks.width")
    parser.add_argument("--images", type=int, default=200_000, help="images that each recipe trains on")
    parser.add_argument("--extractor-images", type=int, default=100_000, help="images that the extractor is fitted on")
    parser.add_argument("--recipes", nargs="*", choices=RECIPES, default=list(RECIPES))
    parser.add_argument("--out", type=Path, help="folder for the grids")
    parser.add_argument("overrides", nargs="*", help="changes to all jobs, as key=value")
    arguments = parser.parse_args()
    everything = load_images(arguments.data, arguments.side)
    network = fit_extractor(everything, arguments.extractor_images)
    data = tuple(column[: arguments.count] for column in everything)
    size = ["workers=1", f"data.resolution={arguments.side}", f"networks.width={arguments.width}", "networks.ghost_batch=32"]
    size += [f"train.total_images={arguments.images}", "data.source={kind: folder, path: .}", *arguments.overrides]
    training = {name: Ganray((data[0], data[1]), job_of([*size, *RECIPES[name]])) for name in arguments.recipes}
    for _ in itertools.takewhile(lambda seen: seen < arguments.images, itertools.count(0, 64)):
        for contender in training.values():
            contender.step()
    reference = moments(network, data[0])
    samples = {name: contender.samples(number=NUM_SAMPLES) for name, contender in training.items()}
    scores = {name: frechet_distance(moments(network, pixels), reference) for name, pixels in samples.items()}
    print(f"frechet after {arguments.images:,} images, of {len(data[0]):,} at {arguments.side} pixels, width {arguments.width}:")
    for name, score in sorted(scores.items(), key=lambda item: item[1]):
        print(f"{score:8.3f}  {name}", flush=True)
        if arguments.out:
            arguments.out.mkdir(parents=True, exist_ok=True)
            grid(samples[name][:CHUNK].numpy()).save(arguments.out / f"{name.replace(' ', '-')}.png")


def job_of(overrides: list[str]) -> Job:
    """Return the job that jobs/folder.yaml becomes with overrides, for batches of 64."""
    return load_job(FOLDER, [*overrides, "train.batch_size=64"])


def load_images(path: Path, side: int) -> LabelledImages:
    """Return the images of a Parquet file, as a job prepares them, and their labels."""
    table = pq.read_table(path, columns=["image", "label"])
    target = Target((3, side, side), "lanczos")
    images = [decode(image["bytes"], target)[0] for image in table["image"].to_pylist()]
    return torch.from_numpy(np.stack(images)), torch.tensor(table["label"].to_pylist())


def fit_extractor(data: LabelledImages, num_images: int) -> FeatureNetwork:
    """Return a classifier of the images' classes."""
    pixels, labels = data
    dataset = Dataset(lambda rows: (pixels[torch.from_numpy(rows)], labels[torch.from_numpy(rows)]), len(pixels), 3)
    network, accuracy = fit_classifier(dataset, int(labels.max()) + 1, num_images=num_images)
    print(f"extractor: accuracy {accuracy or 0:.1%} on held-out images", flush=True)
    return network


@torch.no_grad()
def moments(network: FeatureNetwork, pixels: Tensor) -> Moments:
    """Return the moments of images' features."""
    return Moments.of(torch.cat([network.features(chunk) for chunk in pixels.split(500)]))


if __name__ == "__main__":
    main()
