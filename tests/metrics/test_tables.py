"""Scores of tables: values by hand, limits, and what they tell apart."""

import numpy as np
import pytest

from ganray.metrics.tables.distance import closest_distances, closest_record_share
from ganray.metrics.tables.learners import downstream_score, two_sample_auc
from ganray.metrics.tables.marginals import column_shapes, pair_trends
from ganray.metrics.tables.score import TableReference
from ganray.metrics.tables.values import ColumnValues, take

NAN = float("nan")


def numbers(*values: float) -> ColumnValues:
    return ColumnValues(np.array(values, np.float64))


def categories(*values: int, of: int) -> ColumnValues:
    return ColumnValues(np.array(values, np.int64), of)


def made(count: int, *, seed: int, noise: float = 0.3) -> list[ColumnValues]:
    """Return a table of which the last column follows from the others."""
    random = np.random.default_rng(seed)
    first, kind = random.normal(size=count), random.integers(0, 3, count)
    target = (first + kind + noise * random.normal(size=count) > 1).astype(np.int64)
    return [ColumnValues(first), ColumnValues(kind, 3), ColumnValues(np.round(random.normal(size=count), 2)), ColumnValues(target, 2)]


def shuffled(table: list[ColumnValues]) -> list[ColumnValues]:
    random = np.random.default_rng(9)
    return [ColumnValues(random.permutation(column.values), column.num_categories) for column in table]


def test_shapes_are_one_less_the_largest_gap_of_cumulative_shares_or_the_total_variation() -> None:
    real = [numbers(1, 2, 3, 4), categories(0, 0, 1, 2, of=3)]
    fake = [numbers(3, 3, 4, 4), categories(0, 0, 0, 0, of=3)]
    assert column_shapes(real, fake) == [0.5, 0.5]
    assert column_shapes(real, real) == [1.0, 1.0]


def test_a_missing_number_counts_in_a_shape() -> None:
    assert column_shapes([numbers(NAN, 1, 2, 3)], [numbers(1, 1, 2, 3)]) == [0.75]


def test_pairs_by_hand() -> None:
    real = [numbers(0, 1, 2, 3), numbers(0, 1, 2, 3), categories(0, 0, 1, 1, of=2), categories(0, 0, 1, 1, of=2)]
    fake = [numbers(0, 1, 2, 3), numbers(3, 2, 1, 0), categories(0, 0, 1, 1, of=2), categories(0, 1, 0, 1, of=2)]
    found = dict(zip(["01", "02", "03", "12", "13", "23"], pair_trends(real, fake), strict=True))
    assert found == pytest.approx({"01": 0.0, "02": 1.0, "03": 0.5, "12": 0.0, "13": 0.5, "23": 0.5})
    assert pair_trends(real, real) == pytest.approx([1.0] * 6)


def test_pairs_of_a_thousand_categories_and_of_constant_numbers_are_finite() -> None:
    random = np.random.default_rng(0)
    real = [ColumnValues(random.integers(0, 1000, 3000), 1000), ColumnValues(random.integers(0, 1000, 3000), 1000), numbers(*[1.0] * 3000)]
    assert pair_trends(real, real) == pytest.approx([1.0] * 3)
    nothing = [*real[:2], numbers(*[NAN] * 3000)]
    assert all(0 <= similarity <= 1 for similarity in pair_trends(real, nothing))


def test_copies_of_training_rows_are_told_and_new_rows_are_not() -> None:
    train, holdout = made(1500, seed=1), made(1500, seed=2)
    assert closest_record_share(train, holdout, made(2000, seed=3)) == pytest.approx(0.5, abs=0.05)
    assert closest_record_share(train, holdout, take(train, np.arange(700))) > 0.95
    assert closest_record_share(train, train, made(300, seed=3)) == 0.5
    assert closest_distances(train, take(train, np.arange(50))).max() < 1e-3
    assert closest_distances(train, made(50, seed=3)).min() > 1e-3


def test_a_learner_does_as_well_on_rows_of_the_same_distribution_and_not_on_shuffled_ones() -> None:
    train, test = made(3000, seed=1), made(2000, seed=2)
    real = downstream_score(train, test, 3)
    assert real > 0.95
    assert downstream_score(made(3000, seed=4), test, 3) == pytest.approx(real, abs=0.02)
    assert downstream_score(shuffled(train), test, 3) < 0.65
    assert downstream_score(train, test, 0) > 0.2  # R squared of a number
    constant = [*train[:3], ColumnValues(np.zeros(3000, np.int64), 2)]
    assert downstream_score(constant, test, 3) == 0.5


def test_the_two_sample_test_tells_shuffled_rows_from_reals() -> None:
    real = made(3000, seed=1)
    assert two_sample_auc(real, made(3000, seed=2)) == pytest.approx(0.5, abs=0.06)
    assert two_sample_auc(real, shuffled(real)) > 0.65


def test_all_scores_of_good_and_of_bad_rows() -> None:
    reference = TableReference(made(2000, seed=1), made(1000, seed=2), target=3, is_held_out=True)
    good, bad = reference.scores(made(2000, seed=3)), reference.scores(shuffled(made(2000, seed=3)))
    assert good["metric/quality"] > 0.97
    assert bad["metric/shapes"] > 0.95
    assert bad["metric/tstr"] < 0.7
    assert bad["metric/quality"] < good["metric/quality"] - 0.05
    assert "metric/closest_record" not in TableReference(made(300, seed=1), made(300, seed=1), 3, is_held_out=False).scores(
        made(300, seed=3)
    )
