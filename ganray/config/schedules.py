"""Schedules: a number, or `{start: 2e-4, end: 5e-5}` for a cosine over the images seen."""

import math
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import Discriminator, Field, Tag

from ganray.config.fields import Count, PositiveCount, Real, Section

Number = TypeVar("Number")
Rate = Annotated[Real, Field(gt=0, le=1)]
Decay = Annotated[Real, Field(ge=0, lt=1)]
Weight = Annotated[Real, Field(ge=0)]
Probability = Annotated[Real, Field(ge=0, le=1)]


class Cosine(Section, Generic[Number]):
    """Half a cosine from `start` to `end`, then held (as R3GAN does, Huang et al. 2024, appendix D)."""

    start: Number = Field(description="at the first image")
    end: Number = Field(description="when `images` have been seen, and from then on")
    images: Literal["auto"] | PositiveCount = Field("auto", description="images over which it changes; auto: train.total_images")


CosineRate = Cosine[Rate]
CosineDecay = Cosine[Decay]
CosineWeight = Cosine[Weight]
CosineProbability = Cosine[Probability]
CosineCount = Cosine[Count]


def value_at(scheduled: float | Cosine[float] | Cosine[int], images_seen: int) -> float:
    """Return a constant, or a cosine schedule's value after `images_seen` images. Its length must be resolved."""
    if not isinstance(scheduled, Cosine):
        return scheduled
    assert isinstance(scheduled.images, int), "`images: auto` is resolved when a run is created"
    done = min(images_seen / scheduled.images, 1.0)
    return float(scheduled.end + (scheduled.start - scheduled.end) * (1 + math.cos(math.pi * done)) / 2)


def _form(value: Any) -> str:
    return "cosine" if isinstance(value, dict | Cosine) else "constant"


ScheduledRate = Annotated[Annotated[Rate, Tag("constant")] | Annotated[CosineRate, Tag("cosine")], Discriminator(_form)]
ScheduledDecay = Annotated[Annotated[Decay, Tag("constant")] | Annotated[CosineDecay, Tag("cosine")], Discriminator(_form)]
ScheduledWeight = Annotated[Annotated[Weight, Tag("constant")] | Annotated[CosineWeight, Tag("cosine")], Discriminator(_form)]
ScheduledCount = Annotated[Annotated[PositiveCount, Tag("constant")] | Annotated[CosineCount, Tag("cosine")], Discriminator(_form)]
ScheduledProbability = Annotated[
    Annotated[Probability, Tag("constant")] | Annotated[CosineProbability, Tag("cosine")], Discriminator(_form)
]


def decide_schedules(section: Any, total_images: int) -> Any:
    """Return a job's plain data in which `images: auto` of every schedule is the length of the run."""
    if not isinstance(section, dict):
        return section
    decided = {key: decide_schedules(value, total_images) for key, value in section.items()}
    if decided.keys() == Cosine.model_fields.keys() and decided["images"] == "auto":
        decided["images"] = total_images
    return decided
