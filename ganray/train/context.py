"""The worker context: what every training worker is handed, plain, picklable, and decided once a start of workers."""

from dataclasses import dataclass
from typing import Any

import torch

from ganray.config import Job
from ganray.data.card import DatasetCard
from ganray.data.dataset import PreparedDataset
from ganray.data.loading.resident import ResidentShards
from ganray.evaluation.extractor import FittedExtractor
from ganray.gan.prior import Prior
from ganray.gan.state import GanState, create_state
from ganray.metrics.score import Protocol
from ganray.runs.run import Run

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class WorkerContext:
    """A run as its workers see it. `job` has no `auto` left; `resident` is None where data is streamed.

    `reference` is the key of the reference statistics in the dataset's storage, and `progress_actor` the handle of the run's
    progress actor. `stop_at` ends training before all of the job's images, as if they were done; None: it trains on all of them.
    """

    job: Job
    run: Run
    dataset: PreparedDataset
    resident: ResidentShards | None
    extractor: FittedExtractor
    reference: str
    protocol: Protocol
    progress_actor: Any
    stop_at: int | None = None

    @property
    def total_images(self) -> int:
        """Images at which training is done."""
        return self.stop_at or self.job.train.total_images

    @property
    def prior(self) -> Prior:
        """What the run's generator samples from."""
        return prior_of(self.job, self.dataset.card)

    @property
    def precision(self) -> torch.dtype:
        """What the networks compute in, under autocast."""
        return PRECISIONS[self.job.train.precision]


def prior_of(job: Job, card: DatasetCard) -> Prior:
    """Return what a job's generator samples from: labels as frequent as in its dataset, if it is conditional."""
    shares = tuple(count / card.count for count in card.class_counts or ()) if job.networks.conditional else ()
    return Prior(job.networks.latent_dim, shares)


def fresh_state(context: WorkerContext, device: torch.device) -> GanState:
    """Return the state that a run starts from."""
    job = context.job
    return create_state(
        job.networks,
        job.data.shape,
        seed=job.seed,
        device=device,
        num_classes=context.prior.num_classes,
        spectral_norm=job.penalties.spectral_norm,
    )
