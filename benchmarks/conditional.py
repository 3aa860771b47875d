"""Conditional against unconditional on Fashion-MNIST, with the accuracy of an independent classifier on samples of each class.

Both train on the 60,000 images for as many steps, interleaved. The classifier is fitted here, on the training images, with a
seed of its own; its accuracy on the test images, class by class, is the reference.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.fashion import NUM_CLASSES, Ganray, load_images, moments
from ganray.config import load_job
from ganray.metrics.feature_extractor import FeatureNetwork
from ganray.metrics.fitting import Dataset, fit_classifier
from ganray.metrics.frechet import frechet_distance
from ganray.modalities.image import grid

REPOSITORY = Path(__file__).parents[1]
SAMPLES_PER_CLASS = 4096
CLASSIFIER_SEED = 1234  # not that of the shipped extractor


def main() -> None:
    """Train both, print the accuracy for each class and the Frechet distances, and write a grid of classes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=700_000, help="images that each trains on")
    parser.add_argument("--classifier-images", type=int, default=400_000, help="images that the classifier is fitted on")
    parser.add_argument("--out", type=Path, help="a .png for the grid, a row a class")
    parser.add_argument("overrides", nargs="*", help="changes to the job, as key=value")
    arguments = parser.parse_args()
    data, (test_pixels, test_labels) = load_images("train"), load_images("test")
    overrides = ["workers=1", f"train.total_images={arguments.images}", *arguments.overrides]
    plain, conditional = (
        Ganray(data, load_job(REPOSITORY / "jobs/fashion-mnist.yaml", [*overrides, f"networks.conditional={flag}"]))
        for flag in ("false", "true")
    )
    while conditional.state.images_seen < arguments.images:
        for contender in (plain, conditional):
            contender.step()
    reference = moments(data[0])
    distances = [frechet_distance(moments(contender.samples()), reference) for contender in (plain, conditional)]
    classifier = fit_independent_classifier(data, arguments.classifier_images)
    samples = [conditional.samples(label=label, number=SAMPLES_PER_CLASS) for label in range(NUM_CLASSES)]
    print("class  samples  test images  gap (points)")
    gaps = []
    for label in range(NUM_CLASSES):
        rates = [accuracy(classifier, pixels, label) for pixels in (samples[label], test_pixels[test_labels == label])]
        gaps.append(100 * (rates[0] - rates[1]))
        print(f"{label:>5}  {rates[0]:>7.1%}  {rates[1]:>11.1%}  {gaps[-1]:>+12.1f}", flush=True)
    print(f"accuracy on samples against test images, worst class: {min(gaps):+.1f} points")
    print(f"frechet: conditional {distances[1]:.3f}, unconditional {distances[0]:.3f}, ratio {distances[1] / distances[0]:.3f}")
    if arguments.out:
        grid(torch.cat([pixels[:NUM_CLASSES] for pixels in samples]).numpy(), columns=NUM_CLASSES).save(arguments.out)


def fit_independent_classifier(data: tuple[Tensor, Tensor], num_images: int) -> FeatureNetwork:
    """Return a classifier of the training images."""
    pixels, labels = data
    dataset = Dataset(lambda rows: (pixels[torch.from_numpy(rows)], labels[torch.from_numpy(rows)]), len(pixels), 1)
    network, _ = fit_classifier(dataset, NUM_CLASSES, num_images=num_images, seed=CLASSIFIER_SEED)
    return network


@torch.no_grad()
def accuracy(classifier: FeatureNetwork, pixels: Tensor, label: int) -> float:
    """Return the fraction of images that the classifier assigns to a class."""
    predicted = torch.cat([classifier.logits(chunk).argmax(1) for chunk in pixels.split(500)])
    return (predicted == label).float().mean().item()


if __name__ == "__main__":
    main()
