"""The asynchronous checkpoint writer of rank 0: serialises at once, and uploads to the run's record in a background thread.

Checkpoints wait for their upload on this machine's disk, so that they take no memory beside the networks' own.
"""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from ganray.cluster.scratch import scratch_folder
from ganray.gan.state import GanState
from ganray.modalities.image import grid_png
from ganray.runs.checkpoint import GENERATOR, STATE, serialise_to
from ganray.runs.metrics_log import Record
from ganray.runs.run import Run
from ganray.runs.status import Progress

MAX_PENDING_UPLOADS = 3


class CheckpointWriter:
    """Writes checkpoints, sample grids and metrics in order. An upload that failed raises at the next call, or when the block ends."""

    def __init__(self, run: Run, *, keep: int) -> None:
        self.run, self.keep = run, keep
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="upload")
        self.pending: deque[Future[None]] = deque()
        self.scratch = scratch_folder("upload")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.thread.shutdown()
        try:
            if error is None:
                self._settle(0)
        finally:
            self.scratch.cleanup()

    def write_checkpoint(self, state: GanState, generator: nn.Module | None, progress: Progress, records: list[Record]) -> None:
        """Save the state, the generator that was scored at it, if any, and the metrics since the last checkpoint."""
        path = Path(self.scratch.name, f"{state.attempt}-{state.images_seen}")
        serialise_to(path, state.state_dict())
        files: dict[str, bytes | Path] = {STATE: path}
        if generator is not None:
            files[GENERATOR] = save_tensors({name: tensor.cpu().contiguous() for name, tensor in generator.state_dict().items()})
        self._submit(self._upload, files, state.images_seen, state.attempt, progress, list(records))

    def write_samples(self, samples: Tensor, images_seen: int) -> None:
        """Write a grid of samples, uint8 [N, C, H, W]."""
        self._submit(self.run.write_samples, images_seen, grid_png(samples.cpu().numpy()))

    def flush(self, records: list[Record]) -> None:
        """Write the metrics since the last checkpoint, after all that is still to be written, and wait."""
        self._submit(self.run.append_metrics, list(records))
        self._settle(0)

    def _upload(self, files: dict[str, bytes | Path], images_seen: int, attempt: int, progress: Progress, records: list[Record]) -> None:
        self.run.append_metrics(records)
        checkpoint = self.run.save_checkpoint(files, images_seen=images_seen, attempt=attempt, progress=progress)
        Path(str(files[STATE])).unlink()
        self.run.prune_checkpoints(newest=checkpoint.name, keep=self.keep)

    def _submit(self, function: Callable[..., None], *arguments: Any) -> None:
        self._settle(MAX_PENDING_UPLOADS)
        self.pending.append(self.thread.submit(function, *arguments))

    def _settle(self, most: int) -> None:
        """Collect what has been written, and wait until at most `most` uploads are left."""
        while self.pending and (self.pending[0].done() or len(self.pending) > most):
            self.pending.popleft().result()
