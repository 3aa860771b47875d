"""Conditional against unconditional on Fashion-MNIST: samples of each class, named by a classifier that neither has seen.

Both train on the 60,000 pictures for as many images, in turns. The classifier is fitted here, on the training pictures, with a
seed of its own; what it recognises of the test pictures, class by class, is what samples are held against.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.fashion import NUM_CLASSES, Ganray, moments, pictures
from ganray.config import load_job
from ganray.metrics.fitting import Dataset, fit_classifier
from ganray.metrics.frechet import frechet_distance
from ganray.modalities.image import grid

REPOSITORY = Path(__file__).parents[1]
SAMPLES_A_CLASS = 4096
JUDGE_SEED = 1234  # another than the shipped extractor's


def main() -> None:
    """Train both, print recognition a class and the Frechet distances, and write a grid of classes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=700_000, help="images that each trains on")
    parser.add_argument("--judge-images", type=int, default=400_000, help="images that the classifier is fitted on")
    parser.add_argument("--out", type=Path, help="a .png for the grid, a row a class")
    parser.add_argument("overrides", nargs="*", help="changes to the job, as key=value")
    arguments = parser.parse_args()
    data, (test_pixels, test_labels) = pictures("train"), pictures("test")
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
    judge = fit_judge(data, arguments.judge_images)
    samples = [conditional.samples(label=label, number=SAMPLES_A_CLASS) for label in range(NUM_CLASSES)]
    print("class  samples  test pictures  gap (points)")
    gaps = []
    for label in range(NUM_CLASSES):
        rates = [recognised(judge, pixels, label) for pixels in (samples[label], test_pixels[test_labels == label])]
        gaps.append(100 * (rates[0] - rates[1]))
        print(f"{label:>5}  {rates[0]:>7.1%}  {rates[1]:>13.1%}  {gaps[-1]:>+12.1f}", flush=True)
    print(f"samples of a class recognised as it: at worst {min(gaps):+.1f} points from real test pictures")
    print(f"frechet: conditional {distances[1]:.3f}, unconditional {distances[0]:.3f}, ratio {distances[1] / distances[0]:.3f}")
    if arguments.out:
        grid(torch.cat([pixels[:NUM_CLASSES] for pixels in samples]).numpy(), columns=NUM_CLASSES).save(arguments.out)


def fit_judge(data: tuple[Tensor, Tensor], num_images: int) -> nn.Module:
    """Return a classifier of the training pictures."""
    pixels, labels = data
    dataset = Dataset(lambda rows: (pixels[torch.from_numpy(rows)], labels[torch.from_numpy(rows)]), len(pixels), 1)
    network, _ = fit_classifier(dataset, NUM_CLASSES, num_images=num_images, seed=JUDGE_SEED)
    return network


@torch.no_grad()
def recognised(judge: nn.Module, pixels: Tensor, label: int) -> float:
    """Return the share of pictures that the classifier names as a class."""
    named = torch.cat([judge.logits(chunk).argmax(1) for chunk in pixels.split(500)])
    return (named == label).float().mean().item()


if __name__ == "__main__":
    main()
