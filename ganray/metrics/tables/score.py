"""The scores of a table's generator: its rows against real ones, some of which were not trained on."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ganray.metrics.tables.distance import closest_record_share
from ganray.metrics.tables.learners import downstream_score, two_sample_auc
from ganray.metrics.tables.marginals import column_shapes, pair_trends
from ganray.metrics.tables.values import ColumnValues, Values
from ganray.modalities.table.codec import TableCodec
from ganray.modalities.table.column import Codes, NumberColumn

MIN_BASELINE = 0.05  # of R squared: a number that nothing predicts says nothing of synthetic rows


@dataclass(frozen=True)
class TableReference:
    """Real rows that scores are measured against: those trained on, those held out (the same where there are none), and the target."""

    train: Values
    test: Values
    target: int
    is_held_out: bool

    @cached_property
    def baseline(self) -> float:
        """How well the target is predicted after learning from real rows."""
        return downstream_score(self.train, self.test, self.target)

    def scores(self, fake: Values) -> dict[str, float]:
        """Return the scores of generated rows. `metric/quality` is the mean of those that are best at one."""
        shapes, pairs = (float(np.mean(similarities)) for similarities in (column_shapes(self.train, fake), _pairs(self.train, fake)))
        tstr = self._tstr(fake)
        scores = {
            "metric/quality": (shapes + pairs + min(max(tstr, 0.0), 1.0)) / 3,
            "metric/shapes": shapes,
            "metric/pairs": pairs,
            "metric/tstr": tstr,
            "metric/two_sample": two_sample_auc(self.test, fake),
        }
        return scores | ({"metric/closest_record": closest_record_share(self.train, self.test, fake)} if self.is_held_out else {})

    def _tstr(self, fake: Values) -> float:
        """Return how well the target is predicted after learning from synthetic rows, over what real rows give."""
        if self.baseline < MIN_BASELINE:
            return 1.0
        return downstream_score(fake, self.test, self.target) / self.baseline


def _pairs(real: Values, fake: Values) -> list[float]:
    """Return the similarities of pairs; of a single column there is none to differ."""
    return pair_trends(real, fake) or [1.0]


def values_of(codec: TableCodec, codes: Codes) -> list[ColumnValues]:
    """Return codes [N, columns] as scores see them, as the codec's rules have them."""
    numbers = codec.numbers(codes)
    return [
        ColumnValues(numbers[column.name])
        if isinstance(column, NumberColumn)
        else ColumnValues(np.minimum(codes[:, place], column.num_choices - 1).astype(np.int64), column.num_choices)
        for place, column in enumerate(codec.columns)
    ]
