"""Going back to an earlier checkpoint after a divergence, under a new attempt, or it would only happen again."""

from typing import Any

from ganray.store import ObjectStore
from ganray.train.checkpoint import STATE, Checkpoint, TornCheckpoint, checkpoint_names, load_checkpoint, save_checkpoint, serialise


def go_back(run: ObjectStore, *, attempt: int, fresh: dict[str, Any], max_returns: int) -> dict[str, Any]:
    """Write the checkpoint that the next attempt starts from, and return its progress.

    It is a copy of the newest good one, or of one before that if nothing came of the last return to it; of the `fresh` state if
    there is none. After `max_returns` returns its progress says that the run has ended "diverged".
    """
    checkpoint = _last_good(run)
    before = checkpoint.progress if checkpoint else {"trained_s": 0.0, "best": None}
    state = checkpoint.state() if checkpoint else fresh
    returns = _returns(run) + 1
    progress = {**before, "returns": returns, "returned": True, "ended": "diverged" if returns > max_returns else None}
    files = {STATE: serialise({**state, "attempt": attempt + 1})}
    save_checkpoint(run, files, images_seen=state["images_seen"], attempt=attempt + 1, progress=progress)
    return {**progress, "images_seen": state["images_seen"]}


def _returns(run: ObjectStore) -> int:
    """Return how often the run has gone back so far."""
    names = checkpoint_names(run)
    return load_checkpoint(run, names[-1]).progress.get("returns", 0) if names else 0


def _last_good(run: ObjectStore) -> Checkpoint | None:
    """Return the newest whole checkpoint that training has come to, but one older than the last return's if nothing came of that."""
    names = checkpoint_names(run)
    newest = load_checkpoint(run, names[-1]) if names else None
    limit = newest.images_seen if newest and newest.progress.get("returned") else None
    for name in reversed(names):
        try:
            checkpoint = load_checkpoint(run, name)
            checkpoint.read(STATE)
        except TornCheckpoint:
            continue
        if limit is None or checkpoint.images_seen < limit:
            return checkpoint
    return None
