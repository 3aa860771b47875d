"""The worker context: what every training worker is handed, plain, picklable, and decided once a start of workers."""

from dataclasses import dataclass
from typing import Any

import torch

from ganray.config import Job
from ganray.data.dataset import PreparedDataset
from ganray.data.loading.resident import ResidentShards, load_resident
from ganray.evaluation.evaluation import AnyEvaluation
from ganray.evaluation.extractor import FittedExtractor
from ganray.gan.layouts import Layout, encoding_in, layout_of
from ganray.gan.prior import Prior
from ganray.gan.state import GanState, create_state
from ganray.registry.generator_config import prior_of
from ganray.runs.run import Run
from ganray.runs.start import load_start
from ganray.train.progress import start_progress_actor

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class WorkerContext:
    """A run as its workers see it. `job` has no `auto` left; `resident` is None where data is streamed.

    `start` is the run whose record has the weights to start from, None for random ones.
    `evaluation` is None where something of it is still to be made, as workers do before they score the first time; `extractor` is None
    where that is.
    `progress_actor` is the handle of the run's progress actor. `stop_at` ends training before all of the job's images, as if they
    were done; None: it trains on all of them.
    """

    job: Job
    run: Run
    dataset: PreparedDataset
    resident: ResidentShards | None
    evaluation: AnyEvaluation | None
    progress_actor: Any
    stop_at: int | None = None
    start: Run | None = None
    extractor: FittedExtractor | None = None

    @property
    def total_images(self) -> int:
        """Images at which training is done."""
        return self.stop_at or self.job.train.total_images

    @property
    def prior(self) -> Prior:
        """What the run's generator samples from."""
        return prior_of(self.job.networks, self.dataset.card)

    @property
    def layout(self) -> Layout:
        """How the run's networks see its samples."""
        return layout_of(self.dataset.card.codec)

    @property
    def precision(self) -> torch.dtype:
        """What the networks compute in, under autocast."""
        return PRECISIONS[self.job.train.precision]


def prepare_context(
    run: Run, job: Job, dataset: PreparedDataset, evaluation: AnyEvaluation | None, extractor: FittedExtractor | None = None
) -> WorkerContext:
    """Return what the workers are handed, with resident data in the object store, and evaluation and extractor as far as they are made."""
    resident = load_resident(dataset) if job.data.mode == "resident" else None
    start = run if job.train.start_from else None
    return WorkerContext(job, run, dataset, resident, evaluation, start_progress_actor(f"run {job.name}"), start=start, extractor=extractor)


def fresh_state(context: WorkerContext, device: torch.device) -> GanState:
    """Return the state that a run starts from."""
    state = random_state(context, device)
    if context.start:
        load_start(state, context.start)
    return state


def random_state(context: WorkerContext, device: torch.device) -> GanState:
    """Return a state of the run's networks with weights that are a function of its seed."""
    job = context.job
    return create_state(
        job.networks,
        context.layout.shape,
        seed=job.seed,
        device=device,
        num_classes=context.prior.num_classes,
        spectral_norm=job.penalties.spectral_norm,
        encoding=encoding_in(context.layout),
    )
