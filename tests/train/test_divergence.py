"""Noticing what goes wrong: injected NaNs, skipped steps, divergence, and collapse."""

from pathlib import Path

import pytest
import torch

from ganray.config import Divergence
from ganray.gan.stats import STATS
from ganray.gan.step import AdversarialStep
from ganray.runs.status import MonitorState
from ganray.train.worker.divergence import SKIPPED, DivergenceMonitor
from tests.helpers.gan_runs import RECIPE, batch_at, new_state, on_ranks, weights_of

HEALTHY = dict.fromkeys(STATS, 0.5) | {SKIPPED: 0.0}


def steps_with_a_nan(*, rank: int, world_size: int, network: str) -> tuple[list[float], list[dict[str, torch.Tensor]]]:
    """Step three times, with a NaN in one gradient of the last rank at the second, and return skips and weights after each."""
    torch.set_num_threads(1)
    state = new_state()
    step = AdversarialStep(state, RECIPE)
    poisoned = next(getattr(state, network).parameters())
    poisoned.register_hook(lambda gradient: gradient * float("nan") if bad and rank == world_size - 1 else gradient)
    skips, weights = [], []
    for number in range(3):
        bad = number == 1
        stats = step(batch_at(state.images_seen, rank=rank, world_size=world_size))
        skips.append(stats[-1].item())
        weights.append(weights_of(state))
        assert stats.isfinite().all()
    return skips, weights


@pytest.mark.parametrize("network", ["generator", "discriminator"])
@pytest.mark.parametrize("world_size", [1, 2])
def test_a_nan_in_one_rank_s_gradient_is_skipped_by_all_together(tmp_path: Path, network: str, world_size: int) -> None:
    ranks = on_ranks(world_size, tmp_path, steps_with_a_nan, network=network)
    for _, weights in ranks:
        assert all(torch.equal(weights[-1][name], ranks[0][1][-1][name]) for name in weights[-1])
        assert all(tensor.isfinite().all() for tensor in weights[-1].values())
        mine = [name for name in weights[0] if name.startswith(f"{network}/")]
        assert all(torch.equal(weights[0][name], weights[1][name]) for name in mine)
        assert not all(torch.equal(weights[1][name], weights[2][name]) for name in mine)
    assert any(skips == [0.0, 1.0, 0.0] for skips, _ in ranks)


def names(events: list) -> list[str]:
    return [event.name for event in events]


def test_a_trouble_is_told_when_it_begins_and_again_when_it_returns() -> None:
    watch = DivergenceMonitor(Divergence(), MonitorState())
    lines = [0.0, 0.1, 0.2, 0.0, 0.1]
    assert [names(watch.check_metrics({**HEALTHY, SKIPPED: skipped}, 500)) for skipped in lines] == [[], ["skipped"], [], [], ["skipped"]]


def test_too_many_skipped_steps_end_the_attempt() -> None:
    (event,) = DivergenceMonitor(Divergence(max_skipped=0.5), MonitorState()).check_metrics({SKIPPED: 1.0}, 10)
    assert (event.name, event.ends) == ("diverged", "diverged")
    assert "100% of steps" in event.message


def test_samples_far_out_of_range_end_the_attempt() -> None:
    (event,) = DivergenceMonitor(Divergence(), MonitorState()).check_metrics({**HEALTHY, "samples/diversity": 3000.0}, 10)
    assert (event.name, event.ends) == ("diverged", "diverged")
    assert "samples are far out of range" in event.message


def test_lost_recall_is_told_of() -> None:
    watch = DivergenceMonitor(Divergence(), MonitorState())
    assert names(watch.check_scores({"metric/recall": 0.5}, 500)) == []
    assert names(watch.check_scores({"metric/recall": 0.02}, 600)) == ["lost recall"]


@pytest.mark.parametrize(
    ("on_collapse", "recalls", "collapsed"),
    [
        ("stop", [0.5, 0.02], False),
        ("stop", [0.5, 0.02, 0.02], True),
        ("stop", [0.5, 0.02, 0.3, 0.02], False),
        ("stop", [0.05, 0.0, 0.0], False),
        ("warn", [0.5, 0.02, 0.02], False),
    ],
)
def test_recall_that_stays_lost_ends_the_run(on_collapse: str, recalls: list[float], collapsed: bool) -> None:
    watch = DivergenceMonitor(Divergence(on_collapse=on_collapse), MonitorState())
    for images, recall in enumerate(recalls):
        watch.check_scores({"metric/recall": recall}, images)
    assert watch.state.collapsed == collapsed
