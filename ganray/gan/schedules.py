"""Schedules over the count of images seen."""

import math

from ganray.config import Cosine


def value_at(scheduled: float | Cosine[float] | Cosine[int], images_seen: int) -> float:
    """Return a constant, or a cosine schedule's value after `images_seen` images. Its length must be resolved."""
    if not isinstance(scheduled, Cosine):
        return scheduled
    assert isinstance(scheduled.images, int), "`images: auto` is resolved when a run is created"
    done = min(images_seen / scheduled.images, 1.0)
    return float(scheduled.end + (scheduled.start - scheduled.end) * (1 + math.cos(math.pi * done)) / 2)
