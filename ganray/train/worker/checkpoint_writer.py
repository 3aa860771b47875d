"""What rank 0 writes while training goes on: checkpoints, sample grids and metrics, serialised at once and uploaded behind.

Checkpoints wait for their upload on this machine's disk, so that they take no memory beside the networks' own.
"""

import io
import tempfile
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from torch import Tensor

from ganray.gan.state import GanState
from ganray.modalities.image import grid
from ganray.runs.checkpoint import GENERATOR, STATE, prune_checkpoints, save_checkpoint, serialise_to
from ganray.runs.layout import write_metrics_part
from ganray.train.context import WorkerContext

MAX_PENDING_UPLOADS = 3  # uploads that may wait


class CheckpointWriter:
    """Writes to the run's store in one background thread, in order. An upload that failed raises at the next call."""

    def __init__(self, setup: WorkerContext) -> None:
        self.run, self.keep = setup.run, setup.job.train.keep_checkpoints
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="upload")
        self.pending: deque[Future[None]] = deque()
        self.scratch = tempfile.TemporaryDirectory(prefix="ganray-upload-")

    def checkpoint(self, state: GanState, generator: bytes | None, progress: Mapping[str, Any], records: list[dict[str, Any]]) -> None:
        """Save the state, the generator that was scored at it, if any, and the metrics since the last checkpoint."""
        path = Path(self.scratch.name, f"{state.attempt}-{state.images_seen}")
        serialise_to(path, state.state_dict())
        files = {STATE: path} | ({GENERATOR: generator} if generator else {})
        self._submit(self._write_checkpoint, files, state.images_seen, state.attempt, dict(progress), list(records))

    def samples(self, pixels: Tensor, images_seen: int) -> None:
        """Write a grid of samples, uint8 [N, C, H, W]."""
        buffer = io.BytesIO()
        grid(pixels.cpu().numpy()).save(buffer, "PNG")
        self._submit(self.run.write, f"samples/{images_seen:012d}.png", buffer.getvalue())

    def drain(self, records: list[dict[str, Any]]) -> None:
        """Write the metrics since the last checkpoint, after all that is still to be written, and wait."""
        self._submit(write_metrics_part, self.run, list(records))
        self._settle(0)

    def close(self) -> None:
        """Wait for what is still to be written."""
        self.thread.shutdown()
        self._settle(0)
        self.scratch.cleanup()

    def _write_checkpoint(
        self, files: dict[str, bytes | Path], images_seen: int, attempt: int, progress: dict[str, Any], records: list[dict[str, Any]]
    ) -> None:
        write_metrics_part(self.run, records)
        name = save_checkpoint(self.run, files, images_seen=images_seen, attempt=attempt, progress=progress)
        files[STATE].unlink()
        prune_checkpoints(self.run, newest=name, keep=self.keep)

    def _submit(self, function: Any, *arguments: Any) -> None:
        self._settle(MAX_PENDING_UPLOADS)
        self.pending.append(self.thread.submit(function, *arguments))

    def _settle(self, most: int) -> None:
        """Collect what has been written, and wait until at most `most` uploads are left."""
        while self.pending and (self.pending[0].done() or len(self.pending) > most):
            self.pending.popleft().result()
