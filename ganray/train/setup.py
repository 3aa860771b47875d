"""What every worker is handed: plain, picklable, and decided once, when the run is created."""

from dataclasses import dataclass
from typing import Any

import torch

from ganray.config import Job
from ganray.data.prepare import Prepared
from ganray.store import ObjectStore
from ganray.train.extractor import FittedExtractor

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class WorkerSetup:
    """A run as its workers see it. `job` has no `auto` left; `resident` is None where data is streamed."""

    job: Job
    run: ObjectStore
    prepared: Prepared
    resident: Any
    extractor: FittedExtractor
    reference: str
    protocol: dict[str, Any]
    monitor: Any

    @property
    def precision(self) -> torch.dtype:
        return PRECISIONS[self.job.train.precision]
