"""The asynchronous checkpoint writer of rank 0: serialises at once, and uploads to the run's record in a background thread.

Checkpoints wait for their upload on this machine's disk, so that they take no memory beside the networks' own.
"""

import contextlib
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from ganray.cluster.scratch import scratch_folder
from ganray.errors import GanrayError
from ganray.gan.state import GanState
from ganray.modalities.codec import Codec
from ganray.modalities.previews import previews
from ganray.runs.checkpoint import GENERATOR, STATE, serialise_to
from ganray.runs.event_log import EventKind, RunEvent
from ganray.runs.run import Run
from ganray.runs.status import Progress
from ganray.train.events import record_event
from ganray.train.worker.metrics_upload import MetricsUploader

MAX_PENDING_UPLOADS = 3


class CheckpointWriter:
    """Writes checkpoints and previews of samples in order. An upload that failed raises at the next call, or when the block ends.

    `metrics` uploads records beside them. `times` has the seconds that training stood still for the newest checkpoint, and that its
    upload took.
    """

    def __init__(self, run: Run, codec: Codec, state: GanState, *, keep: int) -> None:
        self.run, self.codec, self.keep = run, codec, keep
        self.metrics = MetricsUploader(run, state)
        self.times: dict[str, float] = {}
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="upload")
        self.pending: deque[Future[None]] = deque()
        self.scratch = scratch_folder("upload")

    def __enter__(self) -> Self:
        self.metrics.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.thread.shutdown()
        try:
            with contextlib.suppress(GanrayError, OSError) if error else contextlib.nullcontext():
                self.metrics.close()
            if error is None:
                self._settle(0)
        finally:
            self.scratch.cleanup()

    def write_checkpoint(self, state: GanState, generator: nn.Module | None, progress: Progress) -> None:
        """Save the state, and the generator that was scored at it, if any. Metrics until then are uploaded before."""
        started = time.monotonic()
        path = Path(self.scratch.name, f"{state.attempt}-{state.images_seen}")
        serialise_to(path, state.state_dict())
        files: dict[str, bytes | Path] = {STATE: path}
        if generator is not None:
            files[GENERATOR] = save_tensors({name: tensor.cpu().contiguous() for name, tensor in generator.state_dict().items()})
        self.metrics.begin_part(state.attempt, state.images_seen)
        self._submit(self._upload, files, state.images_seen, state.attempt, progress)
        self.times["time/checkpoint_s"] = time.monotonic() - started

    def write_samples(self, samples: Tensor, images_seen: int) -> None:
        """Write a preview of samples [N, ...], as they would be stored."""
        self._submit(self.run.write_samples, images_seen, previews(self.codec, samples.cpu().numpy()))

    def flush(self) -> None:
        """Wait until all is written."""
        self.metrics.upload()
        self._settle(0)

    def _upload(self, files: dict[str, bytes | Path], images_seen: int, attempt: int, progress: Progress) -> None:
        started = time.monotonic()
        self.metrics.upload()
        checkpoint = self.run.checkpoints.save(files, images_seen=images_seen, attempt=attempt, progress=progress)
        Path(str(files[STATE])).unlink()
        self.run.checkpoints.prune(newest=checkpoint.name, keep=self.keep)
        self.times["time/upload_s"] = seconds = time.monotonic() - started
        size = sum(entry.size for entry in checkpoint.files.values())
        record_event(self.run, RunEvent(EventKind.CHECKPOINT, images_seen, attempt, {"seconds": round(seconds, 3), "bytes": size}))

    def _submit(self, function: Callable[..., None], *arguments: Any) -> None:
        self._settle(MAX_PENDING_UPLOADS)
        self.pending.append(self.thread.submit(function, *arguments))

    def _settle(self, most: int) -> None:
        """Collect what has been written, and wait until at most `most` uploads are left."""
        while self.pending and (self.pending[0].done() or len(self.pending) > most):
            self.pending.popleft().result()
