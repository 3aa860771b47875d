"""How a job's generators are scored: extractor, reference statistics and protocol, prepared once for all that score."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from ganray.config import Evaluate, Job
from ganray.config.compatibility import KINDS
from ganray.config.evaluate import Mode
from ganray.data.dataset import PreparedDataset
from ganray.evaluation.extractor import FittedExtractor, ensure_extractor, find_fitted, fit_on_cluster, fit_weights
from ganray.evaluation.extractor_weights import resolved
from ganray.evaluation.reference import ensure_reference, find_reference, load_reference, measure_here, measure_on_cluster
from ganray.evaluation.samples import SampleEvaluation, SampleScorer
from ganray.evaluation.score import score_generator
from ganray.evaluation.sounds import sound_scores
from ganray.gan.layouts import layout_of
from ganray.gan.prior import Prior
from ganray.metrics.score import Protocol, Score

FITTING, MEASURING = "fitting the feature extractor", "measuring the data's statistics"


@dataclass(frozen=True)
class Evaluation:
    """What decides a score beside the generator. Picklable; `reference` is the key of the statistics in the dataset's storage.

    `metric` names the deciding one of the scores, `mode` its direction.
    """

    config: Evaluate
    dataset: PreparedDataset
    extractor: FittedExtractor
    reference: str
    metric: str
    mode: Mode

    @property
    def protocol(self) -> Protocol:
        """What scores are measured by."""
        distinct = {"distinct": True} if self.dataset.card.duplicates else {}
        return Protocol(
            metric=self.metric,
            mode=self.mode,
            dataset=self.dataset.card.fingerprint,
            extractor=self.extractor.hash,
            num_samples=self.config.num_samples,
            neighbours=self.config.num_neighbours,
            seed=self.config.seed,
            **distinct,
        )

    def scorer(self, device: torch.device | str = "cpu") -> "FeatureScorer":
        """Load extractor and reference statistics."""
        return FeatureScorer(self, torch.device(device))


class FeatureScorer:
    """Scores generators by one protocol. Where there are several ranks, all must call it with the same generator, in eval mode."""

    def __init__(self, evaluation: Evaluation, device: torch.device) -> None:
        self.config, self.protocol = evaluation.config, evaluation.protocol
        self.codec = evaluation.dataset.card.codec
        self.layout = layout_of(self.codec)
        self.network = evaluation.extractor.network().to(device)
        self.reference = load_reference(evaluation.dataset, evaluation.reference)

    def __call__(self, generator: nn.Module, prior: Prior) -> Score | None:
        """Return the generator's score on rank 0, None elsewhere."""
        scores = score_generator(generator, prior, self.layout, self.network, self.reference, self.config)
        if scores is None:
            return None
        scores |= sound_scores(self.codec, generator, prior, self.layout, num_samples=self.config.num_samples, seed=self.config.seed)
        return Score(scores[self.protocol.metric], scores, self.protocol)


AnyEvaluation = Evaluation | SampleEvaluation
Scorer = FeatureScorer | SampleScorer


def find_evaluation(job: Job, dataset: PreparedDataset) -> tuple[AnyEvaluation | None, FittedExtractor | None]:
    """Return how a resolved job's generators are scored, and their extractor; None if they are not, or where it is still to be made."""
    if not job.evaluate.enabled:
        return None, None
    if not KINDS[dataset.card.kind].has_extractor:
        return SampleEvaluation(job.evaluate, dataset, *job.deciding_score), None
    extractor = find_fitted(job.evaluate.extractor, dataset)
    reference = extractor and find_reference(dataset, extractor, job.evaluate.num_samples)
    if not extractor or not reference:
        return None, extractor
    return Evaluation(job.evaluate, dataset, extractor, reference, *job.deciding_score), extractor


def prepare_evaluation(
    job: Job, dataset: PreparedDataset, *, stage: Callable[[str], None] | None = None, progress: Callable[[int, int], None] | None = None
) -> AnyEvaluation:
    """Return how a resolved job's generators are scored, after making what is missing, on Ray: extractor and reference statistics."""
    if not KINDS[dataset.card.kind].has_extractor:
        return SampleEvaluation(job.evaluate, dataset, *job.deciding_score)
    if stage:
        stage(FITTING)
    extractor = ensure_extractor(job.evaluate.extractor, dataset, partial(fit_on_cluster, job, dataset, progress=progress))
    if stage:
        stage(MEASURING)
    measure = partial(measure_on_cluster, job, dataset, extractor, progress=progress)
    reference = ensure_reference(dataset, extractor, job.evaluate.num_samples, measure)
    return Evaluation(job.evaluate, dataset, extractor, reference, *job.deciding_score)


def make_evaluation(
    job: Job,
    dataset: PreparedDataset,
    device: torch.device,
    *,
    extractor: FittedExtractor | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> AnyEvaluation:
    """Return what `prepare_evaluation` does, after making what is missing in this process. `progress` takes stage, done and total.

    `extractor` is given where it is known: a job may name a file that only the driver's machine has.
    """
    if not KINDS[dataset.card.kind].has_extractor:
        return SampleEvaluation(job.evaluate, dataset, *job.deciding_score)
    fitting, measuring = (partial(progress, stage) if progress else None for stage in (FITTING, MEASURING))
    if extractor is None:
        named = resolved(job.evaluate.extractor)
        extractor = ensure_extractor(named, dataset, partial(fit_weights, named, dataset, device, progress=fitting))
    num_samples = job.evaluate.num_samples
    measure = partial(measure_here, dataset, extractor, device, num_samples=num_samples, progress=measuring)
    reference = ensure_reference(dataset, extractor, num_samples, measure)
    return Evaluation(job.evaluate, dataset, extractor, reference, *job.deciding_score)
