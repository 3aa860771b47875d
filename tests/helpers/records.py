"""Parts of a run's record, for tests that write one without training."""

from ganray.metrics.score import Protocol
from ganray.runs.checkpoint import checkpoint_name
from ganray.runs.status import Best

PROTOCOL = Protocol(metric="metric/frechet", mode="min", dataset="f", extractor="e", num_samples=256, neighbours=5, seed=0)


def best_at(images_seen: int, score: float = 1.0) -> Best:
    """Return the record of a generator that was scored after so many images."""
    return Best(score, {"metric/frechet": score}, PROTOCOL, images_seen, checkpoint_name(0, images_seen))
