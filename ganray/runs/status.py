"""How a run stands: typed values that checkpoints store and that the driver, workers, sweeps and the command line read."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Self

from ganray.metrics.score import Protocol, Score


class EndReason(StrEnum):
    """Why training ended. `INTERRUPTED` is a request to stop, after which the same command goes on."""

    DONE = "done"
    TIME_LIMIT = "time_limit"
    INTERRUPTED = "interrupted"
    DIVERGED = "diverged"
    COLLAPSED = "collapsed"

    @property
    def is_failure(self) -> bool:
        """Whether there is no generator worth publishing by itself."""
        return self in (EndReason.DIVERGED, EndReason.COLLAPSED)

    @property
    def is_complete(self) -> bool:
        """Whether training reached its limit, so that its last generator is to be evaluated."""
        return self in (EndReason.DONE, EndReason.TIME_LIMIT)

    @classmethod
    def _missing_(cls, value: object) -> "EndReason | None":
        """Read the names that ganray 0.1 stored."""
        return {"time": cls.TIME_LIMIT, "asked": cls.INTERRUPTED}.get(str(value))


class RunStatus(StrEnum):
    """How a run stands by its latest checkpoint. `UNFINISHED`: it has a checkpoint and more to train."""

    NEW = "new"
    UNFINISHED = "unfinished"
    ROLLED_BACK = "rolled_back"
    DONE = "done"
    TIME_LIMIT = "time_limit"
    DIVERGED = "diverged"
    COLLAPSED = "collapsed"

    @property
    def end_reason(self) -> EndReason | None:
        """How the run ended, None while there is more to train."""
        return None if self in (RunStatus.NEW, RunStatus.UNFINISHED, RunStatus.ROLLED_BACK) else EndReason(self.value)


@dataclass(frozen=True)
class Best:
    """The best generator of a run so far: its deciding score, all of its scores, and the checkpoint that holds it."""

    score: float
    scores: dict[str, float]
    protocol: Protocol
    images_seen: int
    checkpoint: str

    @classmethod
    def of(cls, score: Score, *, images_seen: int, checkpoint: str) -> Self:
        """Return the record of a generator that was scored at a checkpoint."""
        return cls(score.value, score.scores, score.protocol, images_seen, checkpoint)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Return what `to_json` wrote."""
        return cls(**{**data, "protocol": Protocol.model_validate(data["protocol"])})

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {**vars(self), "protocol": self.protocol.dump()}


@dataclass(frozen=True)
class MonitorState:
    """What the divergence monitor remembers of a run; counts are in images seen, None where the condition does not hold.

    `diversity` is the best so far, by growth of a tenth at least, and `grown_at` when it last grew. Samples have been alike, and not
    grown more varied, since `alike_since`, and the discriminator certain since `certain_since`. `recall` is the best so far,
    `num_lost_recalls` the evaluations in a row that found it lost, and `collapsed` says that they end the run. `ongoing` names what
    was told already.
    """

    diversity: float = 0.0
    grown_at: int = 0
    alike_since: int | None = None
    certain_since: int | None = None
    recall: float = 0.0
    num_lost_recalls: int = 0
    collapsed: bool = False
    ongoing: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Return what `to_json` wrote."""
        return cls(**{**data, "ongoing": tuple(data["ongoing"])})

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


@dataclass(frozen=True)
class Progress:
    """What a run knew when a checkpoint was written.

    `trained_s` counts the seconds of its steps; `num_rollbacks` its rollbacks after divergences, and `rolled_back`
    marks a checkpoint that a rollback wrote; `cloned_from` names the state that a population's member took over; `monitor` is what the
    divergence monitor remembers.
    """

    trained_s: float = 0.0
    best: Best | None = None
    ended: EndReason | None = None
    num_rollbacks: int = 0
    rolled_back: bool = False
    cloned_from: str | None = None
    monitor: MonitorState = MonitorState()

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Return what `to_json` wrote, or earlier versions under other names or without the monitor."""
        best, ended, monitor = data.get("best"), data.get("ended"), data.get("monitor")
        return cls(
            trained_s=data.get("trained_s", 0.0),
            best=Best.from_json(best) if best else None,
            ended=EndReason(ended) if ended else None,
            num_rollbacks=data.get("num_rollbacks", data.get("returns", 0)),
            rolled_back=data.get("rolled_back", data.get("returned", False)),
            cloned_from=data.get("cloned_from", data.get("copied_from")),
            monitor=MonitorState.from_json(monitor) if monitor else MonitorState(),
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {**vars(self), "best": self.best and self.best.to_json(), "monitor": self.monitor.to_json()}


@dataclass(frozen=True)
class TrainingResult:
    """How a run ended. `ended` is DONE, TIME_LIMIT or INTERRUPTED; a failure raises `TrainingDiverged` instead."""

    name: str
    run: str
    images_seen: int
    ended: EndReason
    scores: dict[str, float] | None
    best_images_seen: int | None
    version: str | None
    was_finished: bool = False

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Return what `to_json` wrote."""
        return cls(**{**data, "ended": EndReason(data["ended"])})

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)
