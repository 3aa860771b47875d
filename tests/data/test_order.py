"""The order of the data: what it depends on, and that nothing is lost or seen twice."""

import numpy as np
import pytest

from ganray.data.loading.order import permutation, rows, window_rows

COUNT, ROWS_PER_SHARD = 1000, 96  # the last shard is short
BASE = {"count": COUNT, "seed": 3, "epoch": 1, "attempt": 0}


def windows(size: int, stop: int, **changes: int) -> np.ndarray:
    """Return the rows of all windows of a size from sample 0 to `stop`."""
    options = {"count": COUNT, "rows_per_shard": ROWS_PER_SHARD, "seed": 3} | changes
    return np.concatenate([window_rows(start, start + size, **options) for start in range(0, stop, size)])


def test_a_permutation_holds_every_row_once_and_is_the_same_again() -> None:
    order = permutation(**BASE)
    assert sorted(order) == list(range(COUNT))
    permutation.cache_clear()
    assert (permutation(**BASE) == order).all()


@pytest.mark.parametrize("change", [{"seed": 4}, {"epoch": 2}, {"attempt": 1}, {"seed": 1, "epoch": 3}])
def test_seed_epoch_and_attempt_each_give_another_permutation(change: dict[str, int]) -> None:
    assert (permutation(**BASE) == permutation(**BASE | change)).mean() < 0.02


def test_no_place_of_the_order_prefers_some_rows() -> None:
    places = np.mean([np.argsort(permutation(50, seed=0, epoch=epoch)) for epoch in range(2000)], axis=0)
    standard_error = np.sqrt((50**2 - 1) / 12 / 2000)
    assert np.abs(places - 24.5).max() < 5 * standard_error


@pytest.mark.parametrize("start", [0, 7, 990, 1000, 2995])
def test_rows_are_the_epochs_permutations_end_to_end(start: int) -> None:
    whole = np.concatenate([permutation(COUNT, 3, epoch) for epoch in range(6)])
    assert (rows(start, 2500, count=COUNT, seed=3) == whole[start : start + 2500]).all()


@pytest.mark.parametrize("size", [64, 192, 960, 2048])
def test_windows_hold_every_row_of_an_epoch_once(size: int) -> None:
    seen = windows(size, 3 * COUNT)
    for epoch in range(3):
        assert sorted(seen[epoch * COUNT : (epoch + 1) * COUNT]) == list(range(COUNT))


@pytest.mark.parametrize("seed", range(20))
def test_a_window_touches_few_shards_and_mixes_them(seed: int) -> None:
    for start in range(0, COUNT - 192, 192):
        shards = window_rows(start, start + 192, count=COUNT, rows_per_shard=ROWS_PER_SHARD, seed=seed) // ROWS_PER_SHARD
        shares = np.unique(shards, return_counts=True)[1] / 192
        assert len(shares) <= 192 // ROWS_PER_SHARD + 2  # one more is begun, and the last one is short
        assert (np.diff(shards) != 0).sum() > 0.7 * 191 * (1 - (shares**2).sum())  # as often as in a random order


def test_windows_differ_by_seed_epoch_and_attempt() -> None:
    first, second = windows(200, 2 * COUNT).reshape(2, COUNT)
    for other in (second, windows(200, COUNT, seed=4), windows(200, COUNT, attempt=1)):
        assert (first == other).mean() < 0.02
