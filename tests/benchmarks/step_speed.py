"""Images/s of ganray's step against the tutorial's loop: same layers, batch 64, width 64, 32 x 32, all cores."""

import argparse

import torch

from ganray.config import check_job
from ganray.gan.batch import Batch
from ganray.gan.draws import Draws
from ganray.gan.sampling import from_pixels
from ganray.gan.state import create_state
from ganray.gan.step import AdversarialStep, recipe_of
from ganray.train.resolve import cpu_has_bfloat16
from tests.benchmarks.plain import PlainTraining
from tests.benchmarks.ratios import alternate, summary

BATCH, WIDTH, SHAPE = 64, 64, (1, 32, 32)


def main() -> None:
    """Print the ratio of speeds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--steps", type=int, default=10)
    arguments = parser.parse_args()
    pixels = torch.randint(0, 256, (BATCH, *SHAPE), dtype=torch.uint8)
    plain = PlainTraining(WIDTH)
    reals = pixels.float() / 127.5 - 1
    job = check_job({"networks": {"width": WIDTH, "norm_group": BATCH // 2}, "train": {"batch_size": BATCH}})
    precision = torch.bfloat16 if cpu_has_bfloat16() else torch.float32
    state = create_state(job.networks, SHAPE, seed=0, device=torch.device("cpu"))
    step = AdversarialStep(state, recipe_of(job, precision))

    def run_plain() -> None:
        for _ in range(arguments.steps):
            plain.step(reals)

    def run_ganray() -> None:
        for _ in range(arguments.steps):
            step(Batch(from_pixels(pixels), Draws(0, "latents").normals(state.images_seen, BATCH, 64)))

    print(f"step speed in {precision}, ganray / tutorial: {summary(alternate(run_plain, run_ganray, pairs=arguments.pairs))}")


if __name__ == "__main__":
    main()
