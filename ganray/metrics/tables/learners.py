"""What gradient boosting makes of synthetic rows: train on synthetic, test on real; and a classifier two-sample test."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganray.metrics.tables.values import ColumnValues, Values

MAX_CATEGORIES = 255  # of a feature that gradient boosting takes as categories
MAX_CLASSES = 20  # of a target
MAX_ROWS = 50_000
MIN_CLASS = 10  # rows of a class


def downstream_score(train: Values, test: Values, target: int) -> float:
    """Return how well gradient boosting that learns a column from the others on `train` predicts it on `test`.

    The area under the ROC curve of a category (of several classes: their mean, one against the others), R squared of a number.
    """
    from sklearn.ensemble import HistGradientBoostingRegressor
    from sklearn.metrics import r2_score

    inputs = [_features([column for place, column in enumerate(table) if place != target]) for table in (train, test)]
    labels = [table[target].values for table in (train, test)]
    categorical = _categorical([column for place, column in enumerate(train) if place != target])
    if not train[target].is_number:
        return _auc(inputs, labels, categorical)
    known = [~np.isnan(values) for values in labels]
    model = HistGradientBoostingRegressor(categorical_features=categorical, random_state=0)
    model.fit(inputs[0][known[0]], labels[0][known[0]])
    return float(r2_score(labels[1][known[1]], model.predict(inputs[1][known[1]])))


def two_sample_auc(real: Values, fake: Values) -> float:
    """Return the area under the ROC curve of telling synthetic rows from reals (Lopez-Paz and Oquab 2017), on halves not learned on."""
    count = min(len(real[0]), len(fake[0]))
    rows = [_features(table)[:count] for table in (real, fake)]
    inputs = np.concatenate(rows)
    labels = np.repeat([0, 1], count)
    is_learned = np.arange(2 * count) % 2 == 0
    model = _classifier(_categorical(real)).fit(inputs[is_learned], labels[is_learned])
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(labels[~is_learned], model.predict_proba(inputs[~is_learned])[:, 1]))


def _auc(inputs: list[NDArray[np.float64]], labels: list[Any], categorical: list[bool]) -> float:
    """Return the mean area under the ROC curve over the classes that both tables have; 0.5 for one that was not learned."""
    from sklearn.metrics import roc_auc_score

    learned = set(np.unique(labels[0]).tolist())
    if len(learned) < 2:
        return 0.5
    model = _classifier(categorical).fit(inputs[0], labels[0])
    chances = dict(zip(model.classes_.tolist(), model.predict_proba(inputs[1]).T, strict=True))
    numbers, counts = np.unique(labels[1], return_counts=True)
    scored = [number for number, count in zip(numbers, counts, strict=True) if MIN_CLASS <= count <= len(labels[1]) - MIN_CLASS]
    scored = scored[1:] if len(numbers) == 2 else scored
    areas = [roc_auc_score(labels[1] == number, chances[number]) if number in learned else 0.5 for number in scored]
    return float(np.mean(areas)) if areas else 0.5


def _classifier(categorical: list[bool]) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(categorical_features=categorical, random_state=0)


def _categorical(columns: Values) -> list[bool]:
    return [0 < column.num_categories <= MAX_CATEGORIES for column in columns]


def _features(columns: Values) -> NDArray[np.float64]:
    """Return columns as float64 [N, columns], not a number where missing."""
    return np.stack([column.values[:MAX_ROWS].astype(np.float64) for column in columns], axis=1)


__all__ = ["ColumnValues", "downstream_score", "two_sample_auc"]
