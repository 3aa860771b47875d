"""Images/s of two workers under Ray Train against the same step in two bare processes, with an idle Ray cluster beside both.

The workers train with data from Ray, statistics, progress and background checkpoints; the bare processes step on what lies in
their memory. Both are measured in steady state: the first seconds of each run, in which everything starts, are left out.
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
from ganray.gan.random_streams import RandomStream
from ganray.gan.sampling import from_pixels
from ganray.gan.state import create_state
from ganray.gan.step import AdversarialStep, recipe_of
from ganray.runs.resolve import cpu_has_bfloat16
from ganray.train.train import run_training
from tests.helpers.gan_runs import on_ranks

REPOSITORY = Path(__file__).parents[1]
WORKERS = 2
WARM_UP_S = 5.0  # of a run, left out
STEPS_A_NOTE = 20


class Clock:
    """A reporter that notes when training had come how far."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, int]] = []

    def training(self, progress: dict[str, Any]) -> None:
        now = (time.monotonic(), progress.get("images_seen", 0))
        if now[1] and (not self.seen or now[1] != self.seen[-1][1]):
            self.seen.append(now)

    def stage(self, title: str) -> None: ...

    def advance(self, done: int, total: int) -> None: ...

    def say(self, line: str) -> None: ...

    def images_per_s(self) -> float:
        """Return the rate from the first note after the warm-up to the last one."""
        steady = [note for note in self.seen if note[0] >= self.seen[0][0] + WARM_UP_S]
        return (steady[-1][1] - steady[0][1]) / (steady[-1][0] - steady[0][0])


def main() -> None:
    """Print the ratio of rates, in turns."""
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
    """Return the quickstart's job, for so many seconds, without evaluations on the way."""
    overrides = [
        f"name={name}",
        f"storage={storage}",
        f"train.max_seconds={seconds}",
        "train.total_images=100_000_000",
        "train.checkpoint_every=10_000",
        "train.samples_every=100_000_000",
        "evaluate={every: 100_000_000, num_samples: 256}",
        "publish.auto=false",
    ]
    return load_job(REPOSITORY / "jobs/quickstart.yaml", overrides)


def under_ray(job: Job, _: str) -> float:
    """Return the images/s of a run's workers in steady state."""
    clock = Clock()
    run_training(job, reporter=clock)
    return clock.images_per_s()


def bare(job: Job, storage: str) -> float:
    """Return the images/s of two processes that nothing but torch.distributed connects."""
    rates = on_ranks(WORKERS, Path(storage), step_for, job=job)
    return min(rates)


def step_for(job: Job, *, rank: int, world_size: int) -> float:
    """Step on random pictures for the job's seconds, and return the images/s of all ranks after the warm-up."""
    torch.set_num_threads(1)
    decided = Job.model_validate(decide_schedules(job.model_dump(mode="json"), job.train.total_images))
    state = create_state(decided.networks, decided.data.shape, seed=0, device=torch.device("cpu"))
    step = AdversarialStep(state, recipe_of(decided, torch.bfloat16 if cpu_has_bfloat16() else torch.float32))
    share = job.train.batch_size // world_size
    pixels = torch.randint(0, 256, (share, *job.data.shape), dtype=torch.uint8)
    notes = [(time.monotonic(), 0)]
    while agreed(notes[-1][0] - notes[0][0]) < job.train.max_seconds:
        for _ in range(STEPS_A_NOTE):
            step(Batch(from_pixels(pixels), RandomStream(rank, "latents").normals(state.images_seen, share, job.networks.latent_dim)))
        notes.append((time.monotonic(), state.images_seen))
    steady = [note for note in notes if note[0] >= notes[0][0] + WARM_UP_S]
    return (steady[-1][1] - steady[0][1]) / (steady[-1][0] - steady[0][0])


def agreed(elapsed: float) -> float:
    """Return rank 0's elapsed seconds, so that all ranks stop at the same step."""
    seconds = torch.tensor([elapsed])
    dist.broadcast(seconds, src=0)
    return seconds.item()


if __name__ == "__main__":
    main()
