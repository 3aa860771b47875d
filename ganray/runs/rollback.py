"""Checkpoints that start a new attempt: a rollback after a divergence, and a population's member that clones another.

The attempt is part of the state and of every random stream's key: from here on data and latents differ, or it would only happen again.
"""

from typing import Any

from ganray.runs.checkpoint import STATE, Checkpoint, serialise
from ganray.runs.run import Run
from ganray.runs.status import EndReason, Progress


def roll_back(run: Run, *, attempt: int, fresh: dict[str, Any], max_rollbacks: int) -> Checkpoint:
    """Commit the checkpoint that the next attempt starts from, and return it.

    It is a copy of the latest one, or of one before that if nothing came of the last rollback to it; of the `fresh` state if there
    is none. After `max_rollbacks` rollbacks its progress says that the run has ended DIVERGED.
    """
    latest = run.latest_checkpoint()
    source = run.latest_checkpoint(fewer_than=latest.images_seen) if latest and latest.progress.rolled_back else latest
    before = source.progress if source else Progress()
    state = source.state() if source else fresh
    num_rollbacks = 1 + (latest.progress.num_rollbacks if latest else 0)
    progress = Progress(
        trained_s=before.trained_s,
        best=before.best,
        ended=EndReason.DIVERGED if num_rollbacks > max_rollbacks else None,
        num_rollbacks=num_rollbacks,
        rolled_back=True,
        cloned_from=latest.progress.cloned_from if latest else None,
        monitor=before.monitor,
    )
    files = {STATE: serialise({**state, "attempt": attempt + 1})}
    return run.save_checkpoint(files, images_seen=state["images_seen"], attempt=attempt + 1, progress=progress)


def clone_state(run: Run, donor: Run, checkpoint: str) -> None:
    """Make the donor's latest state, at a checkpoint or later, the latest of `run`, under an attempt above all of its own.

    Done once however often it is asked for, also if both have trained on since. The best generator of `run` so far stays its own.
    """
    source, own = donor.latest_checkpoint(), run.latest_checkpoint()
    assert source is not None, f"{donor.uri} has no checkpoint to clone"
    key = f"{donor.name}@{checkpoint}"
    if own is None or own.progress.cloned_from != key:
        attempt = max([int(name.split("-")[0]) for name in run.checkpoints()] + [source.attempt]) + 1
        best, donated = own.progress.best if own else None, source.progress
        progress = Progress(trained_s=donated.trained_s, best=best, cloned_from=key, monitor=donated.monitor)
        files = {STATE: serialise({**source.state(), "attempt": attempt})}
        run.save_checkpoint(files, images_seen=source.images_seen, attempt=attempt, progress=progress)
