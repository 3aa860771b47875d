"""Going back to an earlier checkpoint after a divergence, under a new attempt, or it would only happen again."""

from typing import Any

from ganray.runs.checkpoint import STATE, Checkpoint, newest_checkpoint, save_checkpoint, serialise
from ganray.storage import ObjectStore


def go_back(run: ObjectStore, *, attempt: int, fresh: dict[str, Any], max_rollbacks: int) -> dict[str, Any]:
    """Write the checkpoint that the next attempt starts from, and return its progress.

    It is a copy of the newest whole one, or of one before that if nothing came of the last return to it; of the `fresh` state if
    there is none. After `max_rollbacks` returns its progress says that the run has ended "diverged".
    """
    newest, _ = newest_checkpoint(run)
    checkpoint = _before(run, newest) if newest and newest.progress.get("returned") else newest
    before = checkpoint.progress if checkpoint else {"trained_s": 0.0, "best": None}
    state = checkpoint.state() if checkpoint else fresh
    returns = 1 + (newest.progress.get("returns", 0) if newest else 0)
    progress = {**before, "returns": returns, "returned": True, "ended": "diverged" if returns > max_rollbacks else None}
    files = {STATE: serialise({**state, "attempt": attempt + 1})}
    save_checkpoint(run, files, images_seen=state["images_seen"], attempt=attempt + 1, progress=progress)
    return {**progress, "images_seen": state["images_seen"]}


def _before(run: ObjectStore, checkpoint: Checkpoint) -> Checkpoint | None:
    """Return the newest whole checkpoint of fewer images than another has seen."""
    earlier, _ = newest_checkpoint(run, fewer_than=checkpoint.images_seen)
    return earlier
