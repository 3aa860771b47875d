"""Images/s of ganray's step against the tutorial's loop: same layers, batch 64, width 64, 32 x 32, all cores.

Each has a process of its own, since ganray configures its process's allocator; they alternate.
"""

import argparse
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context

import torch

from benchmarks.plain import PlainTraining
from benchmarks.ratios import alternate, summary
from ganray.config import check_job
from ganray.gan.batch import Batch
from ganray.gan.layouts import from_pixels
from ganray.gan.random_streams import RandomStream
from ganray.gan.state import create_state
from ganray.gan.step import AdversarialStep, recipe_of
from ganray.runs.resolve import cpu_has_bfloat16
from ganray.train.worker.process import keep_freed_memory

BATCH, WIDTH, SHAPE = 64, 64, (1, 32, 32)
PRECISION = torch.bfloat16 if cpu_has_bfloat16() else torch.float32


def main() -> None:
    """Print the ratio of speeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--steps", type=int, default=10)
    arguments = parser.parse_args()
    contenders = (in_process_of_its_own(contender, arguments.steps) for contender in (plain, ganray))
    print(f"step speed in {PRECISION}, ganray / tutorial: {summary(alternate(*contenders, pairs=arguments.pairs))}")


def in_process_of_its_own(contender: Callable[[], Callable[[], object]], steps: int) -> Callable[[], None]:
    """Return a function that runs `steps` steps of a contender, always in the same process."""
    pool = ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn"))
    return lambda: pool.submit(repeat, contender, steps).result()


def repeat(contender: Callable[[], Callable[[], object]], steps: int) -> None:
    """Run a contender's step `steps` times."""
    step = contender()
    for _ in range(steps):
        step()


@cache
def plain() -> Callable[[], object]:
    """Return one step of the tutorial."""
    training, reals = PlainTraining(WIDTH), random_images().float() / 127.5 - 1
    return lambda: training.step(reals)


@cache
def ganray() -> Callable[[], object]:
    """Return one step of ganray, as in a worker."""
    keep_freed_memory()
    job = check_job({"networks": {"width": WIDTH, "ghost_batch": BATCH // 2}, "train": {"batch_size": BATCH}})
    state = create_state(job.networks, SHAPE, seed=0, device=torch.device("cpu"))
    step, pixels, latents = AdversarialStep(state, recipe_of(job, PRECISION)), random_images(), RandomStream(0, "latents")
    return lambda: step(Batch(from_pixels(pixels), latents.normals(state.images_seen, BATCH, 64)))


def random_images() -> torch.Tensor:
    """Return random uint8 images [BATCH, *SHAPE]."""
    return torch.randint(0, 256, (BATCH, *SHAPE), dtype=torch.uint8)


if __name__ == "__main__":
    main()
