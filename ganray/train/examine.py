"""What a dry run finds in a job's data: how many samples of which classes, what is missing, and how they are scored. Starts no Ray."""

import contextlib
import logging
from typing import Any

from ganray.config import AutoExtractor, ClassifierExtractor, Evaluate, FashionMnistSource, Job
from ganray.config.compatibility import KINDS
from ganray.data.card import DatasetCard
from ganray.data.dataset import find_dataset
from ganray.data.preparation.key import identify
from ganray.data.sources import list_source
from ganray.data.sources.rows import Listing
from ganray.errors import ConfigError, GanrayError, plural
from ganray.evaluation.extractor_weights import extractor_key
from ganray.runs.data_checks import check_data, resolve_evaluate
from ganray.storage import open_store

logger = logging.getLogger(__name__)

READY, TO_BE_FITTED = "ready", "to be fitted before the first evaluation"
MAX_NAMED = 5  # classes


def examine(job: Job) -> dict[str, Any]:
    """Return, by name, what a job's data is: from its card if it is prepared, else from a listing of its source.

    Reads no sample and writes nothing. Raises `DataError` for a source that is missing or empty, and what a training would for data
    that the job cannot be trained on, as far as is known.
    """
    storage = open_store(job.storage)
    listing = list_source(job.data, storage)
    for message in listing.messages:
        logger.warning("%s", message)
    folder, dataset = identify(job.data, listing).folder, None
    with contextlib.suppress(GanrayError):  # of a storage that cannot be asked now
        dataset = find_dataset(storage, folder)
    if dataset is None:
        return _listed(job, listing)
    check_data(job, dataset.card)
    samples = {"real samples": f"{_of_card(dataset.card)}, prepared"}
    extractor = resolve_evaluate(job.evaluate, dataset.card).extractor
    if isinstance(extractor, AutoExtractor):  # of a kind that is scored without
        return samples
    is_ready = extractor.weights != "auto" or storage.list(extractor_key(extractor, dataset))
    return {**samples, "extractor": f"{extractor.kind}, {READY if is_ready else TO_BE_FITTED}"}


def _listed(job: Job, listing: Listing) -> dict[str, Any]:
    if job.networks.conditional and not listing.is_labelled:
        raise ConfigError("networks.conditional", f"the samples of {listing.name} have no label", "use false, or a source with labels")
    count = "not yet counted" if listing.count is None else plural(listing.count, "sample")
    classes = "labelled" if listing.is_labelled and listing.classes is None else _classes(listing.classes or [])
    left_out = f", {plural(len(listing.left_out), 'file')} left out" if listing.left_out else ""
    samples = {"real samples": f"{count}, {classes}{left_out}, to be prepared"}
    if not KINDS[job.data.modality.kind].has_extractor:
        return samples
    return {**samples, "extractor": _expected(job.evaluate, job, listing)}


def _expected(evaluate: Evaluate, job: Job, listing: Listing) -> str:
    """Return which extractor a listing lets expect."""
    extractor, has_classes = evaluate.extractor, listing.is_labelled and (listing.classes is None or len(listing.classes) > 1)
    if isinstance(extractor, ClassifierExtractor) and not has_classes and extractor.weights == "auto":
        raise ConfigError("evaluate.extractor.kind", f"a classifier needs two classes, which {listing.name} has not", "use rotation")
    kind = ("classifier" if has_classes else "rotation") if isinstance(extractor, AutoExtractor) else extractor.kind
    is_shipped = kind == "classifier" and isinstance(job.data.source, FashionMnistSource) and job.data.channels == 1
    is_given = not isinstance(extractor, AutoExtractor) and extractor.weights != "auto"
    return f"{kind}, {READY if is_shipped or is_given else TO_BE_FITTED}"


def _of_card(card: DatasetCard) -> str:
    repeats = f", {card.duplicates:,} of them repeats" if card.duplicates else ""
    skipped = f", {card.skipped.count:,} could not be read" if card.skipped.count else ""
    empty = len(card.classes or []) - card.num_classes
    without = f", {empty:,} of them without a sample" if empty else ""
    return f"{plural(card.count, 'sample')}{repeats}{skipped}, {_classes(card.classes or [])}{without}"


def _classes(classes: list[str]) -> str:
    if not classes:
        return "no classes"
    named = ", ".join(classes[:MAX_NAMED]) + (", ..." if len(classes) > MAX_NAMED else "")
    return f"{len(classes):,} class{'' if len(classes) == 1 else 'es'} ({named})"
