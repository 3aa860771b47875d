"""Scoring a generator by its samples themselves, for kinds that have no extractor: rank 0 compares them with the real ones."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ganray.config import Evaluate
from ganray.config.evaluate import Mode
from ganray.data.dataset import PreparedDataset
from ganray.data.loading.reading import gather, read_shard
from ganray.evaluation.reference import MAX_REALS, spread
from ganray.evaluation.score import own_chunks
from ganray.gan.distributed import gather_interleaved, rank
from ganray.gan.layouts import layout_of
from ganray.gan.prior import Prior
from ganray.gan.sampling import CHUNK, chunk_inputs, num_chunks, sample_chunk
from ganray.metrics.score import Protocol, Score
from ganray.metrics.tables.score import TableReference, values_of
from ganray.metrics.text import compare_texts
from ganray.modalities.table.codec import TableCodec
from ganray.modalities.text import TextCodec

MAX_ROWS = 50_000  # of a table, that are trained on and compared with


@dataclass(frozen=True)
class LabelledSamples:
    """Samples as stored, [N, ...], and their labels int64 [N], -1 where there is none."""

    samples: NDArray[Any]
    labels: NDArray[np.int64]


Comparison = Callable[[LabelledSamples], dict[str, float]]  # takes generated samples


@dataclass(frozen=True)
class SampleEvaluation:
    """What decides a score beside the generator. Picklable. `metric` names the deciding one of the scores, `mode` its direction."""

    config: Evaluate
    dataset: PreparedDataset
    metric: str
    mode: Mode

    @property
    def protocol(self) -> Protocol:
        """What scores are measured by."""
        return Protocol(
            metric=self.metric,
            mode=self.mode,
            dataset=self.dataset.card.fingerprint,
            num_samples=self.config.num_samples,
            seed=self.config.seed,
        )

    def scorer(self, device: torch.device | str = "cpu") -> "SampleScorer":
        """Return what scores generators, on whatever device they are."""
        return SampleScorer(self)


class SampleScorer:
    """Scores generators by one protocol. Where there are several ranks, all must call it with the same generator, in eval mode."""

    def __init__(self, evaluation: SampleEvaluation) -> None:
        self.config, self.protocol, self.dataset = evaluation.config, evaluation.protocol, evaluation.dataset
        self.codec = evaluation.dataset.card.codec
        self.compare = comparison(evaluation.dataset) if rank() == 0 else None

    def __call__(self, generator: nn.Module, prior: Prior) -> Score | None:
        """Return the generator's score on rank 0, None elsewhere."""
        fakes = self.fakes(generator, prior)
        if self.compare is None:
            return None
        scores = self.compare(fakes)
        return Score(scores[self.protocol.metric], scores, self.protocol)

    @torch.no_grad()
    def fakes(self, generator: nn.Module, prior: Prior) -> LabelledSamples:
        """Return samples 0 to num_samples - 1 on every rank, the same for any number of ranks."""
        number, seed, layout = self.config.num_samples, self.config.seed, layout_of(self.codec)
        stored = np.dtype(self.codec.dtype)
        chunks = [sample_chunk(generator, prior, layout, seed=seed, chunk=chunk).cpu().numpy() for chunk in own_chunks(number)]
        local = np.stack(chunks).astype(stored) if chunks else np.zeros((0, CHUNK, *self.codec.shape), stored)
        data = torch.from_numpy(local.view(np.uint8).reshape(len(local), -1)).to(next(generator.parameters()).device)  # any type as bytes
        gathered = gather_interleaved(data, num_chunks(number)).cpu().numpy()
        samples = gathered.reshape(-1).view(stored).reshape(-1, *self.codec.shape)[:number]
        return LabelledSamples(samples, labels_of(prior, number, seed=seed))


def labels_of(prior: Prior, number: int, *, seed: int) -> NDArray[np.int64]:
    """Return the labels that samples are generated with, -1 of an unconditional generator."""
    labels = [chunk_inputs(prior, seed=seed, chunk=chunk)[1] for chunk in range(num_chunks(number))]
    known = [chunk for chunk in labels if chunk is not None]
    return torch.cat(known).numpy()[:number] if known else np.full(number, -1, np.int64)


def comparison(dataset: PreparedDataset) -> Comparison:
    """Return what scores generated samples against a dataset's; what it needs of those is read, and prepared, once."""
    match dataset.card.codec:
        case TableCodec() as codec:
            return partial(compare_rows, table_reference(dataset, codec), codec)
        case TextCodec() as codec:
            reals = real_texts(dataset, codec)
            return lambda fakes: compare_texts(reals, codec.decode(fakes.samples))
    raise AssertionError(f"samples of kind {dataset.card.kind} are scored by their features")


def real_texts(dataset: PreparedDataset, codec: TextCodec) -> list[str]:
    """Return a dataset's texts, or an even choice of them."""
    return codec.decode(read_rows(dataset, spread(dataset.card.count, MAX_REALS)).samples)


def compare_rows(reference: TableReference, codec: TableCodec, fakes: LabelledSamples) -> dict[str, float]:
    """Return the scores of generated rows of a table."""
    return reference.scores(values_of(codec, fakes.samples))


def table_reference(dataset: PreparedDataset, codec: TableCodec) -> TableReference:
    """Return a dataset's rows, or an even choice of them, and those that were held out."""
    card = dataset.card
    train = values_of(codec, read_rows(dataset, spread(card.count, MAX_ROWS)).samples)
    test = values_of(codec, read_rows(dataset, card.count + np.arange(card.held_out)).samples) if card.held_out else train
    return TableReference(train, test, codec.names.index(codec.target or codec.names[-1]), is_held_out=card.held_out > 0)


def read_rows(dataset: PreparedDataset, rows: NDArray[np.int64]) -> LabelledSamples:
    """Return the samples at some rows of a dataset."""
    card = dataset.card
    read = partial(read_shard, dataset)
    return LabelledSamples(*gather(rows, read, rows_per_shard=card.rows_per_shard, sample_type=card.sample_type))
