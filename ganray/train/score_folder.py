"""Scoring any files against a prepared dataset, as generators are scored: the same extractor, statistics and metrics."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganray.cluster.scratch import scratch_folder
from ganray.cluster.session import ray_session
from ganray.config import Data, FolderSource, Job, check_job
from ganray.config.compatibility import KINDS
from ganray.config.evaluate import SCORES
from ganray.data.card import DatasetCard
from ganray.data.dataset import PreparedDataset, find_dataset
from ganray.data.loading.reading import read_shard
from ganray.data.preparation.key import FOLDER as DATASETS
from ganray.data.preparation.key import settings_of
from ganray.data.preparation.prepare import prepare
from ganray.data.sources import list_source
from ganray.data.sources.rows import PATH_FIELD, split_path
from ganray.errors import DataError
from ganray.evaluation.evaluation import Evaluation, make_evaluation
from ganray.evaluation.files import score_rows, score_texts
from ganray.evaluation.reference import features_of, load_reference
from ganray.evaluation.score import compare, compare_classes
from ganray.evaluation.sounds import MAX_SAMPLES, heard
from ganray.gan.prior import Prior
from ganray.metrics.score import Protocol
from ganray.modalities.table.codec import TableCodec
from ganray.modalities.text import TextCodec
from ganray.runs.data_checks import resolve_evaluate
from ganray.storage import ObjectStore, open_store
from ganray.train.reporter import Reporter
from ganray.train.view import TrainingView, line_reporter

NO_GENERATOR = Prior(1)
AGAINST = "--against"


@dataclass(frozen=True)
class FolderScore:
    """The scores of samples by name, of which `kind` and how many they are, how many could not be read, and the protocol."""

    folder: str
    kind: str
    count: int
    skipped: int
    scores: dict[str, float]
    protocol: dict[str, Any]


def score_folder(folder: str, *, against: str, reporter: Reporter | None = None) -> FolderScore:
    """Return the scores of samples in files against a prepared dataset, by its folder's URI.

    `folder` is a path or s3:// URI of what the dataset's kind is read from: a folder or zip archive of images, sounds or videos; text
    files, or Parquet files of texts; CSV or Parquet files of rows. They are made to what the dataset's samples are. What lies in the
    dataset's storage is no sample of a folder that holds it, as when data is prepared. An extractor that nobody has fitted is fitted
    first, and kept beside the dataset. Raises `GanrayError`.
    """
    reporter, dataset = reporter or line_reporter(TrainingView(Job())), open_dataset(against)
    with _errors_of_folder(dataset.card):
        return _score(folder, dataset, reporter)


@contextlib.contextmanager
def _errors_of_folder(card: DatasetCard) -> Iterator[None]:
    """Re-raise an error of the source as one of what the user has named, with what was expected there."""
    try:
        yield
    except DataError as error:
        if error.field != PATH_FIELD:
            raise
        raise DataError("FOLDER", f"{error.problem}; {card.name} holds {card.codec.noun}", error.remedy) from error


def _score(folder: str, dataset: PreparedDataset, reporter: Reporter) -> FolderScore:
    match dataset.card.codec:
        case TextCodec() as texts:
            reporter.stage("comparing texts")
            scores, count, skipped = score_texts(folder, dataset, texts)
        case TableCodec() as table:
            reporter.stage("comparing rows")
            scores, count, skipped = score_rows(folder, dataset, table)
        case _:
            return _score_features(folder, dataset, reporter)
    metric = KINDS[dataset.card.kind].score
    protocol = Protocol(metric=metric, mode=SCORES[metric].mode or "max", dataset=dataset.card.fingerprint, num_samples=count, seed=None)
    return FolderScore(folder, dataset.card.kind, count, skipped, scores, protocol.dump())


def _score_features(folder: str, dataset: PreparedDataset, reporter: Reporter) -> FolderScore:
    """Return the scores of images, sounds or videos, by their features."""
    data = _as_prepared(FolderSource(path=folder, labels="none"), dataset.card)
    listing = list_source(data, storage_of(dataset))
    with scratch_folder("score") as scratch:
        with ray_session("local"):
            reporter.stage(f"reading {KINDS[dataset.card.kind].nouns}")
            # Spectrograms are fitted to the data, images and videos are not.
            codec = dataset.card.codec if dataset.card.kind == "sound" else None
            samples = prepare(data, listing, open_store(scratch), codec=codec, progress=reporter.advance)
        job = scoring_job(dataset, num_images=samples.card.count)
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        evaluation = _evaluation(job, dataset, device, reporter)
        features = _features(evaluation, samples, device)
        sounds = heard(dataset.card.codec, read_shard(samples, 0).samples[:MAX_SAMPLES])
    reference = load_reference(dataset, evaluation.reference)
    scores = compare(features, reference, neighbours=job.evaluate.num_neighbours) | sounds
    if job.evaluate.extractor.kind == "classifier":
        network = evaluation.extractor.network()
        scores |= compare_classes(features, NO_GENERATOR, network, reference, seed=0)
    protocol = evaluation.protocol.model_copy(update={"num_samples": len(features), "seed": None})
    return FolderScore(folder, dataset.card.kind, len(features), samples.card.skipped.count, scores, protocol.dump())


def _as_prepared(source: FolderSource, card: DatasetCard) -> Data:
    """Return a section that prepares samples as those of a dataset were; what cannot be read is only counted."""
    if card.kind != "image":
        return Data(source=source, max_bad_fraction=1, **settings_of(card.kind, card.settings or {}))
    sizes = {"resolution": (card.height, card.width), "channels": card.channels}
    return Data(source=source, max_bad_fraction=1, **sizes, filter=card.filter, background=card.background, bit_depth=card.bit_depth)


def open_dataset(uri: str) -> PreparedDataset:
    """Return a prepared dataset by its folder's URI. Raises `DataError` if there is none."""
    parent, name = split_path(uri)
    dataset = find_dataset(open_store(parent), name)
    if dataset is None:
        raise DataError(AGAINST, f"there is no prepared dataset in {uri}", "name the folder that `ganray prepare JOB` prints")
    return dataset


def storage_of(dataset: PreparedDataset) -> ObjectStore | None:
    """Return the storage that a dataset lies in, None for one in another place, as a copy may be."""
    parent, name = split_path(dataset.storage.uri)
    return open_store(parent) if name == DATASETS else None


def scoring_job(dataset: PreparedDataset, *, num_images: int) -> Job:
    """Return a job that scores as a training on a dataset would, on so many samples. Raises `DataError` if they are too few."""
    if num_images < 2:
        raise DataError("FOLDER", "a single sample has no distribution to compare", "name a folder with more")
    evaluate = resolve_evaluate(Job().evaluate, dataset.card)
    neighbours = min(evaluate.num_neighbours, num_images - 1)
    return check_job({"use_gpu": False, "evaluate": {**evaluate.model_dump(mode="json"), "neighbours": neighbours}})


def _evaluation(job: Job, dataset: PreparedDataset, device: torch.device, reporter: Reporter) -> Evaluation:
    shown = ""

    def progress(stage: str, done: int, total: int) -> None:
        nonlocal shown
        if stage != shown:
            shown = stage
            reporter.stage(stage)
        reporter.advance(done, total)

    evaluation = make_evaluation(job, dataset, device, progress=progress)
    assert isinstance(evaluation, Evaluation), "what is no text or row has an extractor"
    return evaluation


def _features(evaluation: Evaluation, images: PreparedDataset, device: torch.device) -> Tensor:
    """Return the features of all images, [N, D], on the CPU."""
    network = evaluation.extractor.network().to(device)
    shards = (read_shard(images, number).samples for number in range(len(images.card.shards)))
    return torch.cat([features_of(network, torch.from_numpy(np.asarray(samples))) for samples in shards])
