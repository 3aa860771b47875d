"""Column shapes and column pair trends (SDMetrics' quality report): how near a table's marginals, single and paired, are to the reals'."""

import itertools

import numpy as np
from numpy.typing import NDArray

from ganray.metrics.tables.values import ColumnValues, Values

NUM_BINS = 10  # of a number beside a category
MAX_CATEGORIES = 200  # of a column in a pair: the rarer ones count as one
MAX_PAIRS = 2000  # of many columns: evenly spread


def column_shapes(real: Values, fake: Values) -> list[float]:
    """Return each column's similarity, 0 to 1: one minus the Kolmogorov-Smirnov statistic of numbers, or the total variation of categories.

    A missing number counts as less than all others.
    """
    return [_ks_similarity(a.values, b.values) if a.is_number else _tv_similarity(a, b) for a, b in zip(real, fake, strict=True)]


def pair_trends(real: Values, fake: Values) -> list[float]:
    """Return each pair's similarity, 0 to 1: half the difference of correlations, or the total variation of contingency tables, from one.

    A number beside a category is cut into ten bins of equal width over the reals' range.
    """
    binned = [_binned(a, b) for a, b in zip(real, fake, strict=True)]
    pairs = list(itertools.combinations(range(len(real)), 2))
    chosen = pairs if len(pairs) <= MAX_PAIRS else [pairs[place] for place in np.linspace(0, len(pairs) - 1, MAX_PAIRS).astype(int)]
    similarities = []
    for first, second in chosen:
        if real[first].is_number and real[second].is_number:
            correlations = [_correlation(columns[first].values, columns[second].values) for columns in (real, fake)]
            similarities.append(1 - abs(correlations[0] - correlations[1]) / 2)
        else:
            tables = [_contingency(binned[first][side], binned[second][side]) for side in (0, 1)]
            similarities.append(1 - float(np.abs(tables[0] - tables[1]).sum()) / 2)
    return similarities


def _ks_similarity(real: NDArray[np.float64], fake: NDArray[np.float64]) -> float:
    """Return one minus the largest difference of the cumulative distributions of numbers."""
    a, b = (np.sort(np.nan_to_num(values, nan=-np.inf)) for values in (real, fake))
    grid = np.unique(np.concatenate([a, b]))
    gaps = np.searchsorted(a, grid, side="right") / len(a) - np.searchsorted(b, grid, side="right") / len(b)
    return 1 - float(np.abs(gaps).max())


def _tv_similarity(real: ColumnValues, fake: ColumnValues) -> float:
    """Return one minus the total variation distance of categories."""
    shares = [np.bincount(column.values.astype(np.int64), minlength=real.num_categories) / len(column) for column in (real, fake)]
    return 1 - float(np.abs(shares[0] - shares[1]).sum()) / 2


def _binned(real: ColumnValues, fake: ColumnValues) -> tuple[ColumnValues, ColumnValues]:
    """Return both columns as categories: numbers in bins of equal width over the reals' range, and one for missing ones."""
    if not real.is_number:
        return _limited(real, real), _limited(real, fake)
    valid = real.values[~np.isnan(real.values)]
    low, high = (valid.min(), valid.max()) if len(valid) else (0.0, 1.0)
    edges = np.linspace(low, high, NUM_BINS + 1)[1:-1]
    bins = [np.where(np.isnan(column.values), NUM_BINS, np.searchsorted(edges, column.values, side="right")) for column in (real, fake)]
    return ColumnValues(bins[0], NUM_BINS + 1), ColumnValues(bins[1], NUM_BINS + 1)


def _limited(real: ColumnValues, column: ColumnValues) -> ColumnValues:
    """Return categories of which the rarest among the reals are one, so that a contingency table stays small."""
    if column.num_categories <= MAX_CATEGORIES:
        return column
    order = np.argsort(-np.bincount(real.values.astype(np.int64), minlength=real.num_categories), kind="stable")
    place = np.empty(len(order), np.int64)
    place[order] = np.minimum(np.arange(len(order)), MAX_CATEGORIES - 1)
    return ColumnValues(place[column.values.astype(np.int64)], MAX_CATEGORIES)


def _contingency(first: ColumnValues, second: ColumnValues) -> NDArray[np.float64]:
    """Return the shares of pairs of categories, flat."""
    pairs = first.values.astype(np.int64) * second.num_categories + second.values.astype(np.int64)
    return np.bincount(pairs, minlength=first.num_categories * second.num_categories) / len(pairs)


def _correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Return Pearson's correlation where both numbers are there, 0 where one does not vary."""
    valid = ~(np.isnan(first) | np.isnan(second))
    a, b = first[valid], second[valid]
    if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])
