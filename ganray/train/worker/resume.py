"""Where a worker starts from: the run's latest checkpoint, downloaded and verified once by rank 0 and broadcast to the others."""

from dataclasses import dataclass

import torch

from ganray.errors import RunLocked
from ganray.gan.distributed import broadcast, broadcast_bytes, rank
from ganray.gan.state import GanState
from ganray.runs.checkpoint import DamagedCheckpoint, load_state
from ganray.runs.status import Progress
from ganray.train.context import WorkerContext, fresh_state, random_state


@dataclass(frozen=True)
class Start:
    """What rank 0 found. `may_train` is False if the run is another driver's now, or the stream of data starts elsewhere."""

    progress: Progress
    has_state: bool
    may_train: bool


def load_latest(context: WorkerContext, device: torch.device) -> tuple[GanState, Progress] | None:
    """Return the state to train from and what the run knew when it was saved, the same on every rank; None if it may not train."""
    found, data = _find_start(context) if rank() == 0 else (None, None)
    start = broadcast(found)
    assert start is not None
    if not start.may_train:
        return None
    if not start.has_state:
        return fresh_state(context, device), start.progress
    state = random_state(context, device)
    state.load_state_dict(load_state(broadcast_bytes(data, device)))
    return state, start.progress


def _find_start(context: WorkerContext) -> tuple[Start, bytes | None]:
    """Return the newest checkpoint whose state has the hash that was saved, and its file; others lose their state.

    A stream of data was opened by the driver at the position of the latest checkpoint by its listing. Where that one is damaged, the
    workers end, and the driver starts them again from the one before.
    """
    is_damaged = False
    try:
        context.run.check_fence()
        while checkpoint := context.run.checkpoints.latest():
            try:
                data = checkpoint.read_state()
            except DamagedCheckpoint as error:
                context.progress_actor.warn.remote(f"{error}; the checkpoint before it is used")
                context.run.checkpoints.discard_state(checkpoint)
                is_damaged = True
            else:
                return Start(checkpoint.progress, True, context.resident is not None or not is_damaged), data
    except RunLocked as error:
        context.progress_actor.warn.remote(str(error))
        return Start(Progress(), False, False), None
    return Start(Progress(), False, context.resident is not None or not is_damaged), None
