"""Pieces of training: what a trial hands to the work queue, and what a worker group hands back."""

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Self

from ganray.sweep.records import Params


class PieceEnd(StrEnum):
    """How a piece ended. `INTERRUPTED` goes on another time; `FAILED`: workers died too often, or there is no such job."""

    DONE = "done"
    INTERRUPTED = "interrupted"
    DIVERGED = "diverged"
    COLLAPSED = "collapsed"
    FAILED = "failed"

    @property
    def is_broken(self) -> bool:
        """Whether the trial counts as worse than all others."""
        return self in (PieceEnd.DIVERGED, PieceEnd.COLLAPSED, PieceEnd.FAILED)


@dataclass(frozen=True)
class Piece:
    """The training of a trial's run up to `budget` images. (trial, index) is its key: how manyeth piece of the trial it is."""

    trial: int
    index: int
    params: Params
    budget: int


@dataclass(frozen=True)
class Outcome:
    """What became of a piece. `images` is where the run stands, by its checkpoint; `score` its best so far, `last` its last."""

    ended: PieceEnd
    images: int
    score: float | None = None
    last: float | None = None
    best_images: int | None = None
    checkpoint: str | None = None
    reason: str | None = None
    busy_s: float = 0.0
    curve: list[list[float]] = field(default_factory=list)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Return what `to_json` wrote."""
        return cls(**{**data, "ended": PieceEnd(data["ended"])})

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)
