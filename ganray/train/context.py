"""What every worker is handed: plain, picklable, and decided once, when the run is created."""

from dataclasses import dataclass
from typing import Any

import torch

from ganray.config import Job
from ganray.data.card import DatasetCard
from ganray.data.preparation.prepare import Prepared
from ganray.evaluation.extractor import FittedExtractor
from ganray.gan.prior import Prior
from ganray.gan.state import GanState, create_state
from ganray.storage import ObjectStore

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class WorkerContext:
    """A run as its workers see it. `job` has no `auto` left; `resident` is None where data is streamed.

    `stop_at` ends training before all of the job's images, as if they were done; None: it trains on all of them.
    """

    job: Job
    run: ObjectStore
    prepared: Prepared
    resident: Any
    extractor: FittedExtractor
    reference: str
    protocol: dict[str, Any]
    monitor: Any
    stop_at: int | None = None

    @property
    def total_images(self) -> int:
        return self.stop_at or self.job.train.total_images

    @property
    def prior(self) -> Prior:
        return prior_of(self.job, self.prepared.card)

    @property
    def precision(self) -> torch.dtype:
        return PRECISIONS[self.job.train.precision]


def prior_of(job: Job, card: DatasetCard) -> Prior:
    """Return what a job's generator samples from: labels as frequent as in its dataset, if it is conditional."""
    shares = tuple(count / card.count for count in card.class_counts) if job.networks.conditional else ()
    return Prior(job.networks.latent_dim, shares)


def fresh_state(setup: WorkerContext, device: torch.device) -> GanState:
    """Return the state that a run starts from."""
    job = setup.job
    return create_state(
        job.networks,
        job.data.shape,
        seed=job.seed,
        device=device,
        num_classes=setup.prior.num_classes,
        spectral_norm=job.penalties.spectral_norm,
    )
