"""Sample quality for the same wall clock: the recipe of jobs/fashion-mnist.yaml against the tutorial's, on the 60,000 pictures.

Both train in this process, in turns of a few seconds, so that a shared machine's moods hit both; then both are scored by the
Frechet distance of 10,000 samples to the training pictures, in the features of the classifier that ships with ganray.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ganray.config import FashionMnistSource, Job, load_job
from ganray.data.fashion_mnist import SIDE, find_folder, read_idx
from ganray.data.order import rows
from ganray.gan.draws import Draws
from ganray.gan.sampling import CHUNK, from_pixels, num_chunks, sample_chunk, to_pixels
from ganray.gan.state import calibrated_average, create_state
from ganray.gan.step import AdversarialStep, Recipe
from ganray.media.pictures import grid, resize
from ganray.metrics.extractors import load, shipped
from ganray.metrics.frechet import Moments, frechet_distance
from tests.benchmarks.plain import LATENT_DIM, PlainTraining

NUM_SAMPLES = 10_000
REPOSITORY = Path(__file__).parents[2]


class Tutorial:
    """The tutorial's training: shuffled epochs, float pictures in memory, samples with the statistics of their batch."""

    name = "tutorial"

    def __init__(self, pixels: Tensor) -> None:
        self.images = pixels.float() / 127.5 - 1
        self.training = PlainTraining(64)
        self.steps = 0

    def step(self) -> None:
        """Train on the next 64 pictures."""
        chosen = rows(self.steps * 64, 64, count=len(self.images), seed=0, attempt=0)
        self.training.step(self.images[torch.from_numpy(chosen)])
        self.steps += 1

    @torch.no_grad()
    def samples(self) -> Tensor:
        """Return uint8 samples [N, 1, 32, 32]."""
        torch.manual_seed(0)
        latents = torch.randn(NUM_SAMPLES, LATENT_DIM, 1, 1)
        return torch.cat([to_pixels(self.training.generator(chunk)) for chunk in latents.split(500)])


class Ganray:
    """ganray's step on a job, without Ray: what one worker of one does."""

    name = "ganray"

    def __init__(self, pixels: Tensor, job: Job) -> None:
        self.pixels, self.job = pixels, job
        self.state = create_state(job.networks, job.optimizer, job.data.shape, seed=job.seed, device=torch.device("cpu"))
        train = job.train
        precision = torch.float32 if train.precision == "float32" else torch.bfloat16
        self.training = AdversarialStep(self.state, Recipe(train.batch_size, job.penalties.r1_gamma, train.average_half_life, precision))

    def step(self) -> None:
        """Train on the next batch."""
        seen, batch = self.state.images_seen, self.job.train.batch_size
        chosen = rows(seen, batch, count=len(self.pixels), seed=self.job.seed, attempt=0)
        latents = Draws(self.job.seed, "latents").normals(seen, batch, self.job.networks.latent_dim)
        self.training(from_pixels(self.pixels[torch.from_numpy(chosen)]), latents)

    def samples(self) -> Tensor:
        """Return uint8 samples [N, 1, 32, 32]."""
        generator = calibrated_average(self.state, self.job.networks, seed=self.job.seed)
        dim = self.job.networks.latent_dim
        chunks = [sample_chunk(generator, dim, seed=0, chunk=chunk) for chunk in range(num_chunks(NUM_SAMPLES))]
        return torch.cat(chunks)[:NUM_SAMPLES]


def main() -> None:
    """Train both, print their scores and the ratio, and write their grids."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=240.0, help="training time of each")
    parser.add_argument("--turn", type=float, default=10.0, help="seconds a turn")
    parser.add_argument("--out", type=Path, help="folder for the two grids")
    parser.add_argument("--only", choices=["tutorial", "ganray"], help="train just one of them")
    parser.add_argument("overrides", nargs="*", help="changes to the job, as key=value")
    arguments = parser.parse_args()
    pixels = training_pictures()
    job = load_job(REPOSITORY / "jobs/fashion-mnist.yaml", ["workers=1", *arguments.overrides])
    contenders = [Tutorial(pixels), Ganray(pixels, job)]
    contenders = [contender for contender in contenders if arguments.only in (None, contender.name)]
    spent = take_turns(contenders, seconds=arguments.seconds, turn=arguments.turn)
    reference = moments(pixels)
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


def training_pictures() -> Tensor:
    """Return the 60,000 pictures as the job prepares them, uint8 [60000, 1, 32, 32]."""
    table = read_idx(find_folder(FashionMnistSource()), "train")
    pictures = np.frombuffer(b"".join(table["image"].to_pylist()), np.uint8).reshape(-1, SIDE, SIDE)
    return torch.from_numpy(np.stack([resize(picture, (1, 32, 32), "lanczos") for picture in pictures]))


def take_turns(contenders: list[Tutorial | Ganray], *, seconds: float, turn: float) -> list[tuple[float, int]]:
    """Train each for some seconds, a turn at a time, and return the seconds and steps that each took."""
    spent = [0.0 for _ in contenders]
    steps = [0 for _ in contenders]
    while min(spent) < seconds:
        for number, contender in enumerate(contenders):
            start = time.perf_counter()
            while (took := time.perf_counter() - start) < min(turn, seconds - spent[number]):
                contender.step()
                steps[number] += 1
            spent[number] += took
    return list(zip(spent, steps, strict=True))


@torch.no_grad()
def moments(pixels: Tensor) -> Moments:
    """Return the moments of pictures' features, by the shipped classifier."""
    network = load(shipped("fashion-mnist"))
    return Moments.of(torch.cat([network.features(chunk) for chunk in pixels.split(500)]))


if __name__ == "__main__":
    main()
