"""What a dataset's card decides: whether a job can be trained on the data, and how its generators are scored. No torch, no Ray."""

from ganray.config import AutoExtractor, ClassifierExtractor, Evaluate, Extractor, FashionMnistSource, Job, RotationExtractor
from ganray.config.compatibility import KINDS
from ganray.data.card import DatasetCard
from ganray.errors import ConfigError, DataError


def check_data(job: Job, card: DatasetCard) -> None:
    """Raise `DataError` or `ConfigError` for data that a job cannot be trained on."""
    _check_samples(card)
    _check_labels(job, card)


def _check_samples(card: DatasetCard) -> None:
    """Raise `DataError` for a dataset whose samples are all the same: neither training nor scores have anything to go by."""
    if card.num_distinct < 2:
        problem = f"all {card.count:,} samples of {card.name} are equal" if card.count > 1 else f"{card.name} has a single sample"
        raise DataError("data.source", problem, "name a source whose samples differ")


def resolve_evaluate(evaluate: Evaluate, card: DatasetCard) -> Evaluate:
    """Return how generators of a dataset are scored, with nothing left `auto`. Raises `ConfigError` for what the data does not allow."""
    return evaluate.model_copy(update={"extractor": _extractor(evaluate, card), "neighbours": _neighbours(evaluate, card)})


def _neighbours(evaluate: Evaluate, card: DatasetCard) -> int:
    """Return the k of precision and recall, for which there must be more distinct samples."""
    measured = min(card.num_distinct, evaluate.num_samples)
    if evaluate.neighbours == "auto":
        return min(evaluate.num_neighbours, measured - 1)
    if evaluate.neighbours >= measured:
        problem = f"expected fewer neighbours than distinct samples, got {evaluate.neighbours} of {measured:,} in {card.name}"
        raise ConfigError("evaluate.neighbours", problem, f"use auto, or at most {measured - 1}")
    return evaluate.neighbours


def _check_labels(job: Job, card: DatasetCard) -> None:
    """Raise `ConfigError` if generators are to be conditional and not every sample has a label."""
    without = card.count - sum(card.class_counts or [])
    if job.networks.conditional and without:
        problem = f"{without:,} of {card.count:,} samples of {card.name} have no label"
        raise ConfigError("networks.conditional", problem, "use false, or a source whose samples all have one")


def _extractor(evaluate: Evaluate, card: DatasetCard) -> Extractor:
    extractor = evaluate.extractor
    if not KINDS[card.kind].has_extractor:
        return extractor
    if isinstance(extractor, AutoExtractor):
        extractor = ClassifierExtractor() if card.num_classes > 1 else RotationExtractor()
    if isinstance(extractor, ClassifierExtractor) and extractor.weights == "auto":
        if card.source.get("kind") == FashionMnistSource().kind and card.channels == 1:
            return extractor.model_copy(update={"weights": "shipped:fashion-mnist"})
        if card.num_classes < 2:
            lacking = "two classes, and this data has one" if card.num_classes else "labels, and this data has none"
            raise ConfigError("evaluate.extractor.kind", f"a classifier needs {lacking}", "use rotation")
    return extractor
