"""Sample quality at equal wall-clock time: the recipe of jobs/fashion-mnist.yaml against the tutorial's, on the 60,000 images.

Both train in this process, interleaved every few seconds, so that load on a shared machine affects both; the metric is the
Frechet distance of 10,000 samples to the training images, in the features of the classifier that ships with ganray. The
job's schedules end with the run, whose length in images is extrapolated after each turn from the rate so far.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.fashion import NUM_SAMPLES, Ganray, load_images, moments
from benchmarks.interleave import interleave
from benchmarks.plain import LATENT_DIM, PlainTraining
from ganray.config import load_job
from ganray.data.loading.order import rows
from ganray.gan.layouts import to_pixels
from ganray.gan.sampling import CHUNK
from ganray.metrics.frechet import frechet_distance
from ganray.modalities.image import grid

REPOSITORY = Path(__file__).parents[1]


class Tutorial:
    """The tutorial's training: shuffled epochs, float images in memory, samples with batch statistics."""

    name = "tutorial"

    def __init__(self, pixels: Tensor) -> None:
        self.images = pixels.float() / 127.5 - 1
        self.training = PlainTraining(64)
        self.steps = 0

    def step(self) -> None:
        """Train on the next 64 images."""
        chosen = rows(self.steps * 64, 64, count=len(self.images), seed=0, attempt=0)
        self.training.step(self.images[torch.from_numpy(chosen)])
        self.steps += 1

    def set_progress(self, done: float) -> None:
        """The tutorial has no schedule."""

    @torch.no_grad()
    def samples(self) -> Tensor:
        """Return uint8 samples [N, 1, 32, 32]."""
        torch.manual_seed(0)
        latents = torch.randn(NUM_SAMPLES, LATENT_DIM, 1, 1)
        return torch.cat([to_pixels(self.training.generator(chunk)) for chunk in latents.split(500)])


def main() -> None:
    """Train both, print their scores and the ratio, and write their grids."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=240.0, help="training time of each")
    parser.add_argument("--turn", type=float, default=10.0, help="seconds a turn")
    parser.add_argument("--out", type=Path, help="folder for the two grids")
    parser.add_argument("--only", choices=["tutorial", "ganray"], help="train just one of them")
    parser.add_argument("overrides", nargs="*", help="changes to the job, as key=value")
    arguments = parser.parse_args()
    data = load_images("train")
    job = load_job(REPOSITORY / "jobs/fashion-mnist.yaml", ["workers=1", *arguments.overrides])
    contenders = [contender for contender in (Tutorial(data[0]), Ganray(data, job)) if arguments.only in (None, contender.name)]
    spent = interleave(contenders, seconds=arguments.seconds, turn=arguments.turn)
    reference = moments(data[0])
    scores = []
    for contender, (took, steps) in zip(contenders, spent, strict=True):
        samples = contender.samples()
        scores.append(frechet_distance(moments(samples), reference))
        print(f"{contender.name}: frechet {scores[-1]:.3f} after {took:.0f} s, {steps} steps ({steps / took:.2f}/s)", flush=True)
        if arguments.out:
            arguments.out.mkdir(parents=True, exist_ok=True)
            grid(samples[:CHUNK].numpy()).save(arguments.out / f"{contender.name}.png")
    if len(scores) == 2:
        print(f"sample quality for {arguments.seconds:.0f} s, ganray / tutorial: {scores[1] / scores[0]:.3f}")


if __name__ == "__main__":
    main()
