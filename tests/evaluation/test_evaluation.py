"""Preparing an evaluation in this process, as training workers do before they score the first time."""

from pathlib import Path

import pytest
import torch

from ganray.config import Job, check_job
from ganray.data.dataset import PreparedDataset
from ganray.errors import DataError
from ganray.evaluation.evaluation import FITTING, MEASURING, find_evaluation, make_evaluation
from ganray.evaluation.extractor import find_fitted
from ganray.gan.networks import build_networks
from ganray.gan.prior import Prior
from ganray.storage import open_store
from tests.helpers.gan_runs import NETWORKS
from tests.helpers.shards import write_numbered

SHAPE = (1, 16, 16)
CPU = torch.device("cpu")


def job(**extractor: object) -> Job:
    """Return a resolved job that scores by rotations, by a quick fit."""
    section = {"kind": "rotation", "fit_images": 128, **extractor}
    return check_job({"use_gpu": False, "evaluate": {"num_samples": 256, "neighbours": 5, "extractor": section}})


@pytest.fixture
def dataset(tmp_path: Path) -> PreparedDataset:
    return write_numbered(open_store(tmp_path), count=300, rows_per_shard=100, shape=SHAPE)


def test_what_is_missing_is_made_once_with_progress_and_then_found(dataset: PreparedDataset) -> None:
    assert find_evaluation(job(), dataset)[0] is None
    seen: list[tuple[str, int, int]] = []
    made = make_evaluation(job(), dataset, CPU, progress=lambda *step: seen.append(step))
    assert {stage for stage, _, _ in seen} == {FITTING, MEASURING}
    assert [done for stage, done, _ in seen if stage == MEASURING] == [1, 2, 3]
    assert find_evaluation(job(), dataset)[0] == made
    seen.clear()
    assert make_evaluation(job(), dataset, CPU, progress=lambda *step: seen.append(step)) == made
    assert not seen
    generator, _ = build_networks(NETWORKS, SHAPE, seed=0)
    score = made.scorer()(generator.eval(), Prior(NETWORKS.latent_dim))
    assert score is not None
    assert score.protocol == made.protocol


def test_a_fit_leaves_random_numbers_and_threads_of_its_process_as_they_are(dataset: PreparedDataset) -> None:
    torch.manual_seed(7)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    make_evaluation(job(), dataset, CPU)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads


def test_an_extractor_that_cannot_be_is_met_before_training(dataset: PreparedDataset, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"evaluate\.extractor\.weights: there is no file .*none\.safetensors"):
        find_fitted(job(weights=f"{tmp_path}/none.safetensors").evaluate.extractor, dataset)
    colour = write_numbered(open_store(tmp_path / "colour"), count=10, rows_per_shard=10, shape=(3, 16, 16))
    with pytest.raises(DataError, match="its network takes 1 channels and the data has 3"):
        find_fitted(job(weights="shipped:fashion-mnist", kind="classifier").evaluate.extractor, colour)


def test_a_file_that_the_driver_has_read_is_not_looked_for_again(dataset: PreparedDataset, tmp_path: Path) -> None:
    named = job(weights=f"{tmp_path}/only-here.safetensors")
    (tmp_path / "only-here.safetensors").write_bytes(make_evaluation(job(), dataset, CPU).extractor.weights)
    extractor = find_fitted(named.evaluate.extractor, dataset)
    (tmp_path / "only-here.safetensors").unlink()
    assert make_evaluation(named, dataset, CPU, extractor=extractor).extractor == extractor
