"""Reference statistics: what is kept of a dataset's features, and that samples which are there twice do not count as neighbours."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from ganray.config import Evaluate
from ganray.data.dataset import PreparedDataset
from ganray.data.shard import digests
from ganray.evaluation.evaluation import Evaluation
from ganray.evaluation.extractor import FittedExtractor
from ganray.evaluation.reference import load_reference, save_reference, summarise
from ganray.evaluation.score import compare
from ganray.storage import open_store
from tests.helpers.cards import card

DISTINCT = 40


def features(seed: int, number: int) -> Tensor:
    return torch.randn(number, 4, generator=torch.Generator().manual_seed(seed))


def hashes_of(reals: Tensor) -> np.ndarray:
    return digests(reals.numpy().view(np.uint8))


def test_digests_tell_samples_apart() -> None:
    pixels = np.zeros((5, 3, 2, 2), np.uint8)
    pixels[1, 0, 0, 0] = pixels[2, 2, 1, 1] = pixels[4, 2, 1, 1] = 1
    found = digests(pixels)
    assert found.tolist() == digests(pixels[::-1]).tolist()[::-1]
    assert len(np.unique(found)) == 3
    assert found[0] == found[3]
    assert found[2] == found[4]


@pytest.mark.parametrize("repeats", [2, 6, 20])
def test_repeated_samples_leave_precision_and_coverage_as_they_are_without_them(repeats: int) -> None:
    once = features(0, DISTINCT)
    fakes = once + 0.1 * features(1, DISTINCT)
    plain = compare(fakes, summarise(once, None, num_samples=1000), neighbours=5)
    assert plain["metric/coverage"] > 0.9
    repeated = once.repeat(repeats, 1)
    found = compare(fakes, summarise(repeated, hashes_of(repeated), num_samples=1000), neighbours=5)
    for name in ("precision", "recall", "density", "coverage"):
        assert found[f"metric/{name}"] == pytest.approx(plain[f"metric/{name}"])
    ignored = compare(fakes, summarise(repeated, None, num_samples=1000), neighbours=5)
    assert ignored["metric/density"] != pytest.approx(plain["metric/density"], rel=0.1)


def test_statistics_are_read_as_they_were_saved(tmp_path: Path) -> None:
    repeated = features(0, DISTINCT).repeat(3, 1)
    dataset = PreparedDataset(open_store(tmp_path), "datasets/x", card())
    for hashes in (None, hashes_of(repeated)):
        reference = summarise(repeated, hashes, num_samples=30)
        dataset.storage.write("key", save_reference(reference))
        read = load_reference(dataset, "key")
        assert read.moments.count == 3 * DISTINCT
        assert torch.equal(read.features, reference.features)
        assert len(read.features) == 30
        if hashes is None:
            assert read.distinct is None
        else:
            assert read.distinct is not None
            assert len(read.distinct) == len(torch.unique(read.distinct, dim=0)) == 30


@pytest.mark.parametrize(("duplicates", "extra"), [(None, {}), (0, {}), (3, {"distinct": True})])
def test_only_repeated_samples_change_a_protocol(duplicates: int | None, extra: dict[str, bool], tmp_path: Path) -> None:
    dataset = PreparedDataset(open_store(tmp_path), "datasets/x", card(duplicates=duplicates))
    protocol = Evaluation(Evaluate(), dataset, FittedExtractor("e", b""), "key", "metric/frechet", "min").protocol
    known = {"metric": "metric/frechet", "mode": "min", "dataset": "f", "extractor": "e", "num_samples": 10_000, "neighbours": 5, "seed": 0}
    assert protocol.dump() == {**known, **extra}
