"""Noticing what goes wrong: injected NaNs, skipped steps, divergence, collapse, and the way back."""

from pathlib import Path

import pytest
import torch

from ganray.config import Divergence
from ganray.gan.stats import STATS
from ganray.gan.step import AdversarialStep
from ganray.runs.checkpoint import STATE, load_checkpoint, newest_checkpoint, save_checkpoint, serialise
from ganray.runs.rollback import go_back
from ganray.storage import ObjectStore, open_store
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
    watch = DivergenceMonitor(Divergence(), total_images=1000)
    lines = [0.0, 0.1, 0.2, 0.0, 0.1]
    assert [names(watch.line({**HEALTHY, SKIPPED: skipped}, 500)) for skipped in lines] == [[], ["skipped"], [], [], ["skipped"]]


def test_too_many_skipped_steps_end_the_attempt() -> None:
    (event,) = DivergenceMonitor(Divergence(max_skipped=0.5), total_images=1000).line({SKIPPED: 1.0}, 10)
    assert (event.name, event.ends) == ("diverged", "diverged")
    assert "100% of steps" in event.says


def test_samples_far_out_of_range_end_the_attempt() -> None:
    (event,) = DivergenceMonitor(Divergence(), total_images=1000).line({**HEALTHY, "samples/diversity": 3000.0}, 10)
    assert (event.name, event.ends) == ("diverged", "diverged")
    assert "samples are far out of range" in event.says


@pytest.mark.parametrize(("on_collapse", "ends"), [("warn", None), ("stop", "collapsed")])
def test_samples_that_are_alike_are_told_of_after_a_grace(on_collapse: str, ends: str | None) -> None:
    watch = DivergenceMonitor(Divergence(on_collapse=on_collapse), total_images=100_000)
    alike = {**HEALTHY, "samples/diversity": 0.01}
    assert watch.line(alike, 5_000) == []
    (event,) = watch.line(alike, 15_000)
    assert (event.name, event.ends) == ("collapsed", ends)


def test_lost_recall_is_told_of() -> None:
    watch = DivergenceMonitor(Divergence(), total_images=1000)
    assert names(watch.score({"metric/recall": 0.5}, 500)) == []
    assert names(watch.score({"metric/recall": 0.02}, 600)) == ["lost recall"]


def test_a_discriminator_that_wins_outright_is_told_of_after_a_while() -> None:
    watch = DivergenceMonitor(Divergence(), total_images=1000)
    winning = {**HEALTHY, "discriminator/accuracy": 1.0}
    assert [names(watch.line(winning, 500)) for _ in range(4)] == [[], [], ["discriminator won"], []]


@pytest.fixture
def run(tmp_path: Path) -> ObjectStore:
    """The store of a run with checkpoints at 100 and 200 images."""
    store = open_store(str(tmp_path))
    for images in (100, 200):
        files = {STATE: serialise({"images_seen": images, "attempt": 0})}
        save_checkpoint(store, files, images_seen=images, attempt=0, progress={"trained_s": images / 100, "best": None, "ended": None})
    return store


def test_a_return_starts_a_new_attempt_from_the_newest_checkpoint_then_from_the_one_before(run: ObjectStore) -> None:
    fresh = {"images_seen": 0, "attempt": 0}
    positions = []
    for attempt in range(4):
        back = go_back(run, attempt=attempt, fresh=fresh, max_rollbacks=3)
        newest, _ = newest_checkpoint(run)
        assert newest.state() == {"images_seen": back["images_seen"], "attempt": attempt + 1}
        positions.append((newest.name, back["ended"]))
    assert positions == [
        ("001-000000000200", None),
        ("002-000000000100", None),
        ("003-000000000000", None),
        ("004-000000000000", "diverged"),
    ]


def test_progress_after_a_return_is_returned_to_next_time(run: ObjectStore) -> None:
    go_back(run, attempt=0, fresh={}, max_rollbacks=3)
    files = {STATE: serialise({"images_seen": 300, "attempt": 1})}
    save_checkpoint(run, files, images_seen=300, attempt=1, progress={"trained_s": 3.0, "best": None, "ended": None, "returns": 1})
    back = go_back(run, attempt=1, fresh={}, max_rollbacks=3)
    assert (back["images_seen"], back["returns"]) == (300, 2)
    assert load_checkpoint(run, "002-000000000300").progress["returned"]
