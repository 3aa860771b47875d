"""Mode coverage on a ring of 8 and a grid of 25 Gaussians: relativistic with R1 and R2, against non-saturating without a penalty.

Multilayer perceptrons, ganray's own step, one run a core. A high-quality sample is within three standard deviations of a mode;
a mode is covered if it has at least a tenth of its expected number of high-quality samples.
"""

import argparse
import dataclasses
import itertools
import math
import os
import statistics
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import torch
from torch import Tensor, nn

from ganray.config import Adam, CosineRate, CosineWeight, NoAugment, NonSaturatingLoss, Optimizer, Penalties, RelativisticLoss
from ganray.gan.batch import Batch
from ganray.gan.random_streams import RandomStream
from ganray.gan.state import state_of
from ganray.gan.step import AdversarialStep, Recipe

BATCH, LATENT_DIM, WIDTH, DEPTH, NUM_SAMPLES = 256, 2, 128, 5, 10_000
RING = torch.tensor([[math.cos(turn * math.pi / 4), math.sin(turn * math.pi / 4)] for turn in range(8)])
GRID = torch.cartesian_prod(torch.linspace(-1, 1, 5), torch.linspace(-1, 1, 5))
INPUT_SCALE = 4.0  # of the discriminator: modes are a fiftieth of the range wide, and small inputs make smooth decisions
PROBLEMS = {"ring of 8": (RING, 0.02), "grid of 25": (GRID, 0.025)}  # centres [K, 2], standard deviation


def main() -> None:
    """Print, for each problem and recipe, covered modes and high-quality samples over the seeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=15_000)
    arguments = parser.parse_args()
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn"), initializer=torch.set_num_threads, initargs=(1,)) as pool:
        contests = list(itertools.product(PROBLEMS.items(), recipes(arguments.steps * BATCH).items()))
        runs = [
            [pool.submit(train, recipe, *points, arguments.steps, seed) for seed in range(arguments.seeds)]
            for (_, points), (_, recipe) in contests
        ]
        for ((problem, (centres, _)), (name, _)), seeds in zip(contests, runs, strict=True):
            found, good = zip(*(run.result() for run in seeds), strict=True)
            shares = f"high-quality samples {', '.join(f'{share:.1%}' for share in good)} (median {statistics.median(good):.1%})"
            print(f"{problem}, {name}: covered modes {list(found)} of {len(centres)}; {shares}", flush=True)


def recipes(total_images: int) -> dict[str, Recipe]:
    """Return the recipes to compare."""
    rate = CosineRate(start=2e-3, end=5e-5, images=total_images)
    adam = Adam(lr=rate, beta1=0.0, beta2=0.99)
    gamma = CosineWeight(start=0.1, end=0.01, images=total_images)
    paired = Recipe(
        batch_size=BATCH,
        ghost_batch=1,
        precision=torch.float32,
        optimizer=Optimizer(generator=adam, discriminator=adam),
        loss=RelativisticLoss(),
        penalties=Penalties(r1_gamma=gamma, r2_gamma=gamma),
        augment=NoAugment(),
        ema_half_life=20_000,
        accumulate=1,
        discriminator_steps=1,
    )
    plain = dataclasses.replace(paired, loss=NonSaturatingLoss(), penalties=Penalties())
    return {"relativistic + R1 + R2": paired, "non-saturating, no penalty": plain}


def train(recipe: Recipe, centres: Tensor, deviation: float, steps: int, seed: int) -> tuple[int, float]:
    """Train on points [N, 2] and return the number of covered modes, and the fraction of high-quality samples."""
    torch.manual_seed(seed)
    state = state_of(Generator(), Discriminator())
    step = AdversarialStep(state, recipe)
    latents, modes = RandomStream(seed, "latents"), RandomStream(seed, "places")
    for _ in range(steps):
        seen = state.images_seen
        chosen = torch.from_numpy(modes.uniforms(seen, BATCH, 1)[:, 0] * len(centres)).long()
        points = centres[chosen] + deviation * RandomStream(seed, "points").normals(seen, BATCH, 2)
        step(Batch(points, latents.normals(seen, BATCH, LATENT_DIM)))
    with torch.no_grad():
        samples = state.generator_ema(RandomStream(seed, "samples").normals(0, NUM_SAMPLES, LATENT_DIM))
    distances, nearest = torch.cdist(samples, centres).min(1)
    good = distances <= 3 * deviation
    counts = torch.bincount(nearest[good], minlength=len(centres))
    return int((counts >= 0.1 * NUM_SAMPLES / len(centres)).sum()), good.float().mean().item()


class Generator(nn.Module):
    """Maps latents [N, 2] to points [N, 2]."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = _layers(LATENT_DIM, 2)

    def forward(self, latents: Tensor, _: Tensor | None = None) -> Tensor:
        points: Tensor = self.layers(latents)
        return points


class Discriminator(nn.Module):
    """Maps points [N, 2] to logits [N]."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = _layers(2, 1)

    def forward(self, points: Tensor, _: Tensor | None = None) -> Tensor:
        logits: Tensor = self.layers(INPUT_SCALE * points).flatten()
        return logits


def _layers(inputs: int, outputs: int) -> nn.Sequential:
    widths = [inputs] + [WIDTH] * DEPTH
    hidden = [layer for before, after in itertools.pairwise(widths) for layer in (nn.Linear(before, after), nn.LeakyReLU(0.2))]
    return nn.Sequential(*hidden, nn.Linear(WIDTH, outputs))


if __name__ == "__main__":
    main()
