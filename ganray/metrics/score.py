"""A score and the protocol that it was measured by: only scores of one protocol are comparable."""

import math
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict


class Protocol(BaseModel):
    """What decides a score beside the generator. Two protocols are equal if all of their fields are.

    `metric` names the deciding entry of the scores, `mode` whether less or more of it is better. `dataset` is the dataset
    card's fingerprint, `extractor` the hash of the feature network's tensors, `num_samples` the number of generated samples,
    `neighbours` the k of precision and recall, `seed` that of the samples' latents. `distinct`: of real samples that are equal,
    precision, recall, density and coverage are measured on one; it is set where there are any. Stored protocols may have more fields.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    metric: str = "metric/frechet"
    mode: Literal["min", "max"] = "min"
    dataset: str | None = None
    extractor: str | None = None
    num_samples: int | None = None
    neighbours: int | None = None
    seed: int | None = None
    distinct: bool | None = None

    def dump(self) -> dict[str, Any]:
        """Return the fields that were set, as JSON types: a stored protocol is dumped as it was stored."""
        return self.model_dump(mode="json", exclude_unset=True)

    def is_better(self, score: float, than: float | None) -> bool:
        """Return whether a score beats another one of this protocol: a finite one beats None, one that is not finite beats none."""
        if not math.isfinite(score):
            return False
        if than is None or not math.isfinite(than):
            return True
        return score < than if self.mode == "min" else score > than


@dataclass(frozen=True)
class Score:
    """How good a generator is: `value` is the entry of `scores` that the protocol's `metric` names."""

    value: float
    scores: dict[str, float]
    protocol: Protocol
