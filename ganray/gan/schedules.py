"""Values that follow the count of images seen."""

import math

from ganray.config import Cosine


def value_at(scheduled: float | Cosine, images_seen: int) -> float:
    """Return what a number or schedule of the job is after so many images. A schedule's `images` must be decided by then."""
    if not isinstance(scheduled, Cosine):
        return scheduled
    done = min(images_seen / scheduled.images, 1.0)
    return scheduled.end + (scheduled.start - scheduled.end) * (1 + math.cos(math.pi * done)) / 2
