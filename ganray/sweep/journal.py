"""The journal of a sweep: an ordered, append-only log of what Ray Tune's searcher and scheduler met and decided (event sourcing).

It is all that a resume needs: a fresh searcher and scheduler meet the same events in the same order, so that both stand where they
stood. What was decided but not written is decided again. The trials' records are a projection of it.
"""

import json
import logging
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from ganray.errors import DataError
from ganray.runs.lock import Fence
from ganray.runs.trials import Params, Trial, TrialStatus
from ganray.storage import ObjectStore

logger = logging.getLogger(__name__)

FOLDER = "journal/"
Decision = Literal["CONTINUE", "PAUSE", "STOP", "NOOP"]  # of Tune's scheduler; NOOP: it did it already, as async PBT by an exploit
SEGMENT = 128  # events an object: what is rewritten at each event, where a store cannot append


@dataclass(frozen=True)
class Outcome:
    """What became of a piece: `PAUSED` at its rung, `WAITING` to go on another time, or broken.

    `images` is where the run stands, by its checkpoint; `score` is its best so far, `last` its last.
    """

    status: TrialStatus
    images: int
    score: float | None = None
    last: float | None = None
    best_images: int | None = None
    checkpoint: str | None = None
    reason: str | None = None
    busy_s: float = 0.0
    curve: list[list[int | float]] = field(default_factory=list)


@dataclass(frozen=True)
class Suggested:
    """The searcher suggested a new trial."""

    trial: int
    params: Params
    at: float
    kind: Literal["suggested"] = "suggested"


@dataclass(frozen=True)
class Reported:
    """Searcher and scheduler met the outcome of a trial's piece and decided; of a population, others clone and explore."""

    trial: int
    budget: int
    outcome: Outcome
    decision: Decision
    exploits: dict[int, tuple[int, Params]]  # donor and explored params, by the trial that clones
    at: float
    kind: Literal["reported"] = "reported"

    @property
    def donors(self) -> dict[int, int]:
        """Which trial is cloned, by the one that clones."""
        return {trial: donor for trial, (donor, _) in self.exploits.items()}


@dataclass(frozen=True)
class Promoted:
    """The scheduler let a trial go on that was paused at a rung."""

    trial: int
    at: float
    kind: Literal["promoted"] = "promoted"


Event = Suggested | Reported | Promoted
_EVENT: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="kind")])


class Journal:
    """The events in a sweep's store, and how many of them a replay has met."""

    def __init__(self, store: ObjectStore, fence: Fence | None = None) -> None:
        self.store, self.fence = store, fence
        self.events = read_events(store)
        self.known, self.num_met = len(self.events), 0

    @property
    def expected(self) -> Event | None:
        """The event that a replay has to meet next, None once all have been met."""
        return self.events[self.num_met] if self.num_met < self.known else None

    def append(self, event: Event) -> None:
        """Write an event down before anything follows from it. Raises `RunLocked` if another driver has taken the sweep over."""
        if self.fence:
            self.fence.check()
        segment = len(self.events) // SEGMENT
        self.events.append(event)
        lines = [json.dumps(asdict(known)) + "\n" for known in self.events[segment * SEGMENT :]]
        self.store.write(f"{FOLDER}{segment:06d}.jsonl", "".join(lines).encode())


class Trials:
    """The trials by number, as the events make them."""

    def __init__(self, rungs: list[int], events: Iterable[Event] = ()) -> None:
        self.rungs = rungs
        self.all: list[Trial] = []
        for event in events:
            self.apply(event)

    def next_rung(self, images: int) -> int:
        """Return the first rung above a number of images."""
        return next(rung for rung in self.rungs if rung > images)

    def apply(self, event: Event) -> None:
        """Take in an event."""
        if isinstance(event, Suggested):
            assert event.trial == len(self.all), event
            self.all.append(Trial(event.trial, event.params, self.rungs[0], started=event.at))
        elif isinstance(event, Reported):
            self._report(event, self.all[event.trial])
            for number, (donor, params) in event.exploits.items():
                self._exploit(self.all[number], self.all[donor], params)
        else:
            self._go_on(self.all[event.trial])

    def _report(self, event: Reported, trial: Trial) -> None:
        outcome = event.outcome
        trial.num_pieces += 1
        trial.position = trial.budget = event.budget
        trial.checkpoint = outcome.checkpoint or trial.checkpoint
        trial.images, trial.busy_s = outcome.images, trial.busy_s + outcome.busy_s
        if outcome.score is not None:
            trial.score, trial.last, trial.best_images, trial.curve = outcome.score, outcome.last, outcome.best_images, outcome.curve
        if outcome.status.is_broken:
            trial.status, trial.reason, trial.ended = outcome.status, outcome.reason, event.at
            return
        trial.rungs.append({"images": event.budget, "score": outcome.score, "last": outcome.last, "at": event.at})
        if event.budget >= self.rungs[-1]:
            trial.status, trial.ended = TrialStatus.FINISHED, event.at
        elif event.decision == "STOP":
            stop(trial, event.at)
        elif event.decision == "PAUSE":
            trial.status = TrialStatus.PAUSED
        else:
            self._go_on(trial)

    def _exploit(self, trial: Trial, donor: Trial, params: Params) -> None:
        """Let a trial go on with other params from where a donor stands."""
        assert donor.checkpoint is not None, f"trial {donor.name} has no checkpoint to clone"
        scores = {"score": trial.valid_last, "donor_score": donor.valid_last}
        start = {"images": donor.position, "from": donor.number, "checkpoint": donor.checkpoint}
        trial.lineage.append({**start, "before": trial.params, "after": params, **scores})  # type: ignore[typeddict-item]
        trial.params, trial.images, trial.position = params, donor.position, donor.position
        self._go_on(trial)

    def _go_on(self, trial: Trial) -> None:
        """Let a trial, broken or not, train to its next rung."""
        trial.status, trial.budget = TrialStatus.WAITING, self.next_rung(trial.position)
        trial.reason = trial.ended = None


def stop(trial: Trial, at: float) -> None:
    """End a trial that the scheduler gave up."""
    trial.status, trial.ended, trial.reason = TrialStatus.STOPPED, at, f"not among the best at {trial.budget:,} images"


def read_events(store: ObjectStore) -> list[Event]:
    """Return a sweep's events in order. A torn end, which a copy may have, is dropped. Raises `DataError` for other damage."""
    lines = b"".join(store.read(segment.key) for segment in store.list(FOLDER)).splitlines()
    events: list[Event] = []
    for line in lines:
        try:
            events.append(_EVENT.validate_json(line))
        except ValueError as error:
            if len(events) < len(lines) - 1:
                problem = f"the journal in {store.uri} is damaged in line {len(events) + 1}"
                raise DataError("storage", problem, "restore it, or start a sweep of another name") from error
            logger.warning("the journal's last event is torn; the sweep goes on from the one before")
    return events
