"""Distance to the closest record: whether synthetic rows lie nearer to the rows that were trained on than to rows held out."""

import numpy as np
import torch
from torch import Tensor

from ganray.metrics.tables.values import Values

MAX_RECORDS = 20_000
MAX_QUERIES = 5_000
CHUNK = 500
MAX_CATEGORIES = 100  # of a column, one-hot; the rarer ones count as one


def closest_record_share(train: Values, holdout: Values, fake: Values) -> float:
    """Return the share of synthetic rows that are nearer to a training row than to any held out; 0.5 where nothing is remembered.

    Both sets are cut to the same size; a tie counts as half.
    """
    size = min(len(train[0]), len(holdout[0]), MAX_RECORDS)
    queries = _features(train, fake, _spread(len(fake[0]), MAX_QUERIES))
    to_train, to_holdout = (_closest(queries, _features(train, records, _spread(len(records[0]), size))) for records in (train, holdout))
    return float(((to_train < to_holdout).double() + (to_train == to_holdout).double() / 2).mean())


def closest_distances(train: Values, fake: Values) -> Tensor:
    """Return the distance of some synthetic rows to their closest training row: Euclidean, each column up to one."""
    queries = _features(train, fake, _spread(len(fake[0]), MAX_QUERIES))
    return _closest(queries, _features(train, train, np.arange(len(train[0])))).sqrt()


def _closest(queries: Tensor, records: Tensor) -> Tensor:
    """Return the squared distance [n] of each query to the closest record, rounded, so that equal rows are ties."""
    norms = records.square().sum(1)
    chunks = [(norms - 2 * (chunk @ records.T)).min(1).values + chunk.square().sum(1) for chunk in queries.split(CHUNK)]
    return torch.cat(chunks).clamp(min=0).mul(1e6).round().div(1e6)


def _features(train: Values, columns: Values, rows: np.ndarray) -> Tensor:
    """Return rows as float64 vectors: numbers by the range of the training rows, categories one-hot, half a unit for each of two."""
    parts = []
    for known, column in zip(train, columns, strict=True):
        values = column.values[rows]
        if known.is_number:
            valid = known.values[~np.isnan(known.values)]
            low, high = (valid.min(), valid.max()) if len(valid) else (0.0, 1.0)
            scaled = (values - low) / max(high - low, 1e-12)
            missing = np.isnan(values)
            parts.append(
                np.stack([np.where(missing, 0.0, scaled), missing.astype(float)], 1) if np.isnan(known.values).any() else scaled[:, None]
            )
        else:
            limited = np.minimum(values.astype(np.int64), MAX_CATEGORIES - 1)
            parts.append(np.eye(min(known.num_categories, MAX_CATEGORIES))[limited] * np.sqrt(0.5))
    return torch.from_numpy(np.concatenate(parts, 1))


def _spread(count: int, most: int) -> np.ndarray:
    return np.arange(count) if count <= most else np.linspace(0, count - 1, most).round().astype(np.int64)
