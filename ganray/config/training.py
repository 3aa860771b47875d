"""The sections of the optimisation: `optimizer`, `train` and `divergence`; and how a global batch is dealt out to workers."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from ganray.config.fields import Count, FieldError, Place, PositiveCount, Real, Section
from ganray.config.schedules import ScheduledCount, ScheduledDecay, ScheduledRate


class Adam(Section):
    """Adam (Kingma and Ba 2015) for one network."""

    lr: ScheduledRate = Field(2e-4, description="learning rate, or {start, end} of a cosine")
    beta1: ScheduledDecay = Field(0.5, description="decay of the first moment, a step")
    beta2: ScheduledDecay = Field(0.999, description="decay of the second moment, a step")


class Optimizer(Section):
    """One Adam for each network."""

    generator: Adam = Field(Adam(), description="the generator's")
    discriminator: Adam = Field(Adam(), description="the discriminator's")


class Seconds(Section):
    """A cadence by the clock, which bounds what a failure costs. It decides when something is written, and nothing that is computed."""

    seconds: Real = Field(gt=0, description="seconds of training")


Interval = Annotated[
    Annotated[PositiveCount, Tag("images")] | Annotated[Seconds, Tag("seconds")],
    Discriminator(lambda value: "seconds" if isinstance(value, dict | Seconds) else "images"),
]


class Train(Section):
    """Length, batch, precision and cadences. Everything is counted in real images seen, over all workers."""

    start_from: Place | None = Field(
        None,
        description="URI of a published version, or of a model (then its best), of the same networks and shape, to start from; "
        "null: from random weights",
    )
    total_images: PositiveCount = Field(1_000_000, description="images to train on")
    max_seconds: Real | None = Field(None, gt=0, description="seconds of training after which the run ends, evaluates and publishes")
    batch_size: PositiveCount = Field(64, description="images a discriminator step, over all workers")
    accumulate: PositiveCount = Field(
        1, description="gradient accumulation: micro-batches that a worker splits its local batch into, to save memory"
    )
    discriminator_steps: PositiveCount = Field(1, description="discriminator steps, a batch each, for one generator step")
    precision: Literal["auto", "float32", "bfloat16"] = Field("auto", description="auto: bfloat16 where the hardware has it")
    compile: list[Literal["generator", "discriminator"]] = Field(
        [], description="networks to compile with torch.compile; the discriminator only without gradient penalties"
    )
    ema_half_life: ScheduledCount = Field(10_000, description="half-life of the generator's exponential moving average, in images")
    checkpoint_every: Interval = Field(50_000, description="images between checkpoints, or {seconds: 60}, to the next line of metrics")
    keep_checkpoints: PositiveCount = Field(2, ge=2, description="newest checkpoints to keep, beside the best")
    samples_every: PositiveCount = Field(50_000, description="images between sample grids")
    log_every: PositiveCount = Field(2_000, description="images between lines of metrics")
    max_failures: Count = Field(3, description="restarts after a worker's death before the run gives up")
    max_preemption_failures: Count | None = Field(
        None, description="restarts after workers died with a node that was drained or preempted, beside max_failures; null: any number"
    )
    worker_timeout: Real = Field(60.0, gt=0, description="seconds without an answer after which a worker counts as dead, as a frozen one")
    collective_timeout: Real = Field(
        600.0, gt=0, description="seconds that workers wait for one another, in a collective or to start, before they are started again"
    )


class Divergence(Section):
    """The divergence monitor, and what follows. Steps whose gradients are not finite are skipped, by all workers together."""

    max_skipped: Real = Field(
        0.5, gt=0, le=1, description="fraction of skipped steps in an interval of train.log_every beyond which training has diverged"
    )
    max_rollbacks: Count = Field(3, description="rollbacks to a checkpoint after a divergence before the run gives up")
    patience: PositiveCount = Field(
        50_000,
        description="images without progress after which samples that are alike count as collapsed; a fifth, if they were diverse before",
    )
    on_collapse: Literal["warn", "stop"] = Field("warn", description="stop: end the run, unpublished, once its samples have collapsed")


class Workers(Section):
    """An elastic run: as many workers as there is room for. Which samples a step sees, and what it does with them, stays the job's."""

    min: PositiveCount = Field(1, description="fewest workers that the run goes on with")
    max: PositiveCount = Field(description="most workers, as many as there are ghost batches at most")

    @model_validator(mode="after")
    def _in_order(self) -> "Workers":
        if self.min > self.max:
            raise FieldError(f"expected at most max={self.max}, got {self.min}", "swap them", field="min")
        return self


WorkerCount = Annotated[
    Annotated[PositiveCount, Tag("fixed")] | Annotated[Workers, Tag("elastic")],
    Discriminator(lambda value: "elastic" if isinstance(value, dict | Workers) else "fixed"),
]


@dataclass(frozen=True)
class Share:
    """Samples `start` to `start + size - 1` of a global batch: one worker's local batch."""

    start: int
    size: int


def share_of(rank: int, world_size: int, *, batch_size: int, ghost_batch: int) -> Share:
    """Return the share of one of at most batch_size / ghost_batch workers. Shares differ by at most one ghost batch."""
    return list(deal(batch_size, world_size, ghost_batch=ghost_batch))[rank]


def useful_workers(count: int, *, batch_size: int, ghost_batch: int) -> int:
    """Return the fewest workers that step as fast as `count` do: of 4 ghost batches, 3 workers have one with two, as 2 workers have."""
    groups = batch_size // ghost_batch
    most = -(-groups // min(count, groups))  # ghost batches of the worker that has most
    return -(-groups // most)


def deal(size: int, parts: int, *, ghost_batch: int) -> Iterator[Share]:
    """Yield consecutive shares of samples, whole ghost batches each: `parts` of them, or as many as there are ghost batches."""
    groups = size // ghost_batch
    parts = min(parts, groups)
    edges = [groups * number // parts * ghost_batch for number in range(parts + 1)]
    yield from (Share(start, end - start) for start, end in pairwise(edges))
