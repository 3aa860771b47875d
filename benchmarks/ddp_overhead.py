"""DDP overhead: images/s of two workers under Ray Train against two bare processes, with an idle Ray cluster beside both.

The workers train with data from Ray, metrics, progress and asynchronous checkpoints; the bare processes step on random images
in memory. Both are measured in steady state, without the first seconds of each run.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from benchmarks.ratios import summary
from ganray.cluster.session import ray_session
from ganray.config import Job, load_job
from ganray.config.schedules import decide_schedules
from ganray.gan.batch import Batch
from ganray.gan.layouts import from_pixels
from ganray.gan.random_streams import RandomStream
from ganray.gan.state import create_state
from ganray.gan.step import AdversarialStep, recipe_of
from ganray.runs.resolve import cpu_has_bfloat16
from ganray.train.train import run_training
from tests.helpers.gan_runs import on_ranks

REPOSITORY = Path(__file__).parents[1]
WORKERS = 2
WARM_UP_S = 5.0  # of a run, not measured
STEPS_PER_MEASUREMENT = 20


class RateReporter:
    """A reporter that records pairs of time and images seen."""

    def __init__(self) -> None:
        self.measured: list[tuple[float, int]] = []

    def update(self, snapshot: dict[str, Any]) -> None:
        now = (time.monotonic(), snapshot.get("images_seen", 0))
        if now[1] and (not self.measured or now[1] != self.measured[-1][1]):
            self.measured.append(now)

    def stage(self, title: str) -> None: ...

    def advance(self, done: int, total: int) -> None: ...

    def images_per_s(self) -> float:
        """Return the rate from the first measurement after the warm-up to the last one."""
        steady = [point for point in self.measured if point[0] >= self.measured[0][0] + WARM_UP_S]
        return (steady[-1][1] - steady[0][1]) / (steady[-1][0] - steady[0][0])


def main() -> None:
    """Print the ratio of rates, alternating."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=30.0, help="length of each run")
    arguments = parser.parse_args()
    ratios = []
    with ray_session("local"), tempfile.TemporaryDirectory() as storage:
        for pair in range(arguments.pairs):
            job = ddp_job(storage, f"pair-{pair}", arguments.seconds)
            rates = {}
            for side in (under_ray, bare) if pair % 2 else (bare, under_ray):
                rates[side] = side(job, storage)
            ratios.append(rates[under_ray] / rates[bare])
            print(f"pair {pair}: {rates[under_ray]:.0f} images/s under Ray, {rates[bare]:.0f} bare, ratio {ratios[-1]:.3f}", flush=True)
    print(f"images/s of two workers, Ray Train / bare torch.distributed: {summary(ratios)}")


def ddp_job(storage: str, name: str, seconds: float) -> Job:
    """Return the quickstart's job with a limit in seconds and without evaluations."""
    overrides = [
        f"name={name}",
        f"storage={storage}",
        f"train.max_seconds={seconds}",
        "train.total_images=100_000_000",
        "train.checkpoint_every=10_000",
        "train.samples_every=100_000_000",
        "evaluate=none",  # a network of scores would be fitted beside the first steps
        "publish.auto=false",
    ]
    return load_job(REPOSITORY / "jobs/quickstart.yaml", overrides)


def under_ray(job: Job, _: str) -> float:
    """Return the images/s of a run's workers in steady state."""
    reporter = RateReporter()
    run_training(job, reporter=reporter)
    return reporter.images_per_s()


def bare(job: Job, storage: str) -> float:
    """Return the images/s of two processes with nothing but torch.distributed."""
    rates: list[float] = on_ranks(WORKERS, Path(storage), step_for, job=job)
    return min(rates)


def step_for(job: Job, *, rank: int, world_size: int) -> float:
    """Train on random images for the job's seconds, and return the images/s of all ranks after the warm-up."""
    torch.set_num_threads(1)
    decided = Job.model_validate(decide_schedules(job.model_dump(mode="json"), job.train.total_images))
    state = create_state(decided.networks, decided.data.shape, seed=0, device=torch.device("cpu"))
    step = AdversarialStep(state, recipe_of(decided, torch.bfloat16 if cpu_has_bfloat16() else torch.float32))
    local_batch = job.train.batch_size // world_size
    pixels = torch.randint(0, 256, (local_batch, *job.data.shape), dtype=torch.uint8)
    measured = [(time.monotonic(), 0)]
    while elapsed_of_rank_zero(measured[-1][0] - measured[0][0]) < (job.train.max_seconds or 0.0):
        for _ in range(STEPS_PER_MEASUREMENT):
            step(Batch(from_pixels(pixels), RandomStream(rank, "latents").normals(state.images_seen, local_batch, job.networks.latent_dim)))
        measured.append((time.monotonic(), state.images_seen))
    steady = [point for point in measured if point[0] >= measured[0][0] + WARM_UP_S]
    return (steady[-1][1] - steady[0][1]) / (steady[-1][0] - steady[0][0])


def elapsed_of_rank_zero(elapsed: float) -> float:
    """Return rank 0's elapsed seconds, so that all ranks stop at the same step."""
    seconds = torch.tensor([elapsed])
    dist.broadcast(seconds, src=0)
    return seconds.item()


if __name__ == "__main__":
    main()
