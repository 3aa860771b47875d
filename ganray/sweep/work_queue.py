"""The work queue of a sweep: an asyncio actor between Tune's trials, which wait for outcomes, and worker groups, which wait for pieces.

Nobody polls. A piece has a key, so that a trial's process that was started again waits for the one outcome; while a resume replays
the journal, recorded outcomes are answered in their turn. The actor lives and dies with the sweep's driver.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from ganray.errors import ClusterError
from ganray.sweep.pieces import Outcome, Piece, PieceEnd
from ganray.sweep.records import Params, TrialStatus
from ganray.sweep.trials import Trials

MAX_WAITING = 10_000  # calls that may wait at once: one a trial and one a worker group
IDLE_S = 15.0  # that a worker group may wait for a piece before it leaves its place to others

Key = tuple[int, int]  # trial, index
Report = tuple[int, Outcome]  # a piece's budget and its outcome


@dataclass(frozen=True)
class Standing:
    """Where trials stand when a driver starts: their rungs and images, pieces in the journal, failures of workers, who was given up."""

    positions: Mapping[int, int] = field(default_factory=dict)
    images: Mapping[int, int] = field(default_factory=dict)
    num_recorded: Mapping[int, int] = field(default_factory=dict)
    num_failures: Mapping[int, int] = field(default_factory=dict)
    given_up: frozenset[int] = frozenset()


def standing_of(trials: Trials) -> Standing:
    """Return where trials stand by the journal."""
    return Standing(
        dict(enumerate(trials.positions)),
        {trial.number: trial.images for trial in trials.all},
        dict(enumerate(trials.num_reported)),
        {trial.number: trial.failures for trial in trials.all},
        frozenset(trial.number for trial in trials.all if trial.status == TrialStatus.FAILED),
    )


@dataclass(frozen=True)
class Failure:
    """Workers that died while they trained a trial, and whether it goes on."""

    trial: int
    reason: str
    goes_on: bool


@dataclass(frozen=True)
class Snapshot:
    """Pieces under way, those that are being trained, and the failures since the last snapshot.

    `is_full`: a piece was refused, since it would exceed the sweep's images. `is_idle`: nothing is being trained or reported.
    """

    pieces: list[Piece]
    running: set[Key]
    failures: list[Failure]
    is_full: bool
    is_idle: bool


class WorkQueueState:
    """The queue. All methods run on one event loop."""

    def __init__(self, rungs: list[int], standing: Standing, *, max_failures: int, max_images: int | None) -> None:
        self.rungs, self.max_failures, self.max_images = rungs, max_failures, max_images
        self.positions, self.images = Counter(standing.positions), Counter(standing.images)
        self.num_recorded = Counter(standing.num_recorded)
        self.num_failures, self.given_up = Counter(standing.num_failures), set(standing.given_up)
        self.num_reported: Counter[int] = Counter()  # pieces that Tune has met, by trial
        self.reports: dict[Key, asyncio.Future[Report]] = {}
        self.pieces: dict[Key, Piece] = {}
        self.pending: deque[Piece] = deque()
        self.taken: dict[str, Piece] = {}  # by worker group
        self.waiting: dict[str, asyncio.Future[Piece | None]] = {}
        self.errors: dict[str, str] = {}
        self.failures: list[Failure] = []
        self.live = asyncio.Event()
        self.is_full = self.is_closed = self.is_dismissed = False

    # For trials

    async def train(self, trial: int, params: Params) -> Report:
        """Have a trial trained to its next rung; return that and the outcome, which is `INTERRUPTED` once the sweep has stopped."""
        key = (trial, self.num_reported[trial])
        if key[1] >= self.num_recorded[trial]:
            await self.live.wait()
            if key not in self.reports:
                self._submit(Piece(*key, params, next(rung for rung in self.rungs if rung > self.positions[trial])))
        return await asyncio.shield(self._report(key))

    # For worker groups

    async def take(self, group: str, fresh: bool) -> Piece | None:
        """Wait for a piece, None to leave. A `fresh` group has just started: what it had before goes to whoever comes first."""
        if fresh and group in self.taken:
            self._drop(group)
        await self.live.wait()
        if stale := self.waiting.pop(group, None):
            stale.cancel()  # of workers that died while they waited
        self.waiting[group] = future = asyncio.get_running_loop().create_future()
        self._match()
        try:
            return await asyncio.wait_for(future, IDLE_S)
        except TimeoutError:
            return None
        finally:
            if self.waiting.get(group) is future:
                del self.waiting[group]

    async def finish(self, group: str, outcome: Outcome) -> None:
        """Take the outcome of a group's piece; one that was interrupted waits for another group, or for another driver."""
        piece = self.taken.pop(group)
        if outcome.ended == PieceEnd.INTERRUPTED:
            self.pending.appendleft(piece)
        else:
            self._resolve((piece.trial, piece.index), (piece.budget, outcome))
        self._match()

    async def report_error(self, group: str, error: str) -> None:
        """Note what a worker met that it cannot go on from."""
        self.errors[group] = error

    # For the driver

    async def release(self, trial: int, index: int, budget: int, outcome: Outcome) -> None:
        """Answer a recorded piece."""
        self._resolve((trial, index), (budget, outcome))

    async def go_live(self) -> None:
        """End the replay: from now on pieces are trained."""
        self.live.set()

    async def acknowledge(self, trial: int) -> tuple[int, Report]:
        """Count a trial's piece as met by Tune, and return its index and what was reported."""
        key = (trial, self.num_reported[trial])
        budget, outcome = self.reports.pop(key).result()
        self.pieces.pop(key, None)
        self.num_reported[trial] += 1
        if key[1] >= self.num_recorded[trial]:
            self.positions[trial], self.images[trial] = budget, outcome.images
        return key[1], (budget, outcome)

    async def move(self, trial: int, images: int) -> None:
        """Let a trial's next piece start where the trial that it has cloned stands."""
        self.positions[trial] = self.images[trial] = images
        self.given_up.discard(trial)

    async def lose(self, group: str) -> None:
        """Take in that a group is gone, with whatever it had."""
        if future := self.waiting.pop(group, None):
            future.cancel()
        if group in self.taken:
            self._drop(group)

    async def close(self) -> None:
        """Hand out nothing more, and let idle groups leave."""
        self.is_closed = True
        self._match()

    async def dismiss(self) -> None:
        """Answer all who wait that the sweep has stopped."""
        self.is_closed = self.is_dismissed = True
        self.live.set()
        for future in self.reports.values():
            _set(future, (0, Outcome(PieceEnd.INTERRUPTED, 0)))
        self._match()

    async def snapshot(self) -> Snapshot:
        """Return how things stand."""
        failures, self.failures = self.failures, []
        running = {(piece.trial, piece.index) for piece in self.taken.values()}
        is_unmet = any(future.done() for future in self.reports.values())
        is_idle = not self.taken and not is_unmet and (self.is_closed or not self.pending)
        return Snapshot(list(self.pieces.values()), running, failures, self.is_full, is_idle)

    def _submit(self, piece: Piece) -> None:
        """Queue a piece, unless its trial was given up or it would exceed the sweep's images; then nobody takes another."""
        if piece.trial in self.given_up:
            reason = f"its workers died more than train.max_failures={self.max_failures} times"
            self._resolve((piece.trial, piece.index), (piece.budget, Outcome(PieceEnd.FAILED, self.positions[piece.trial], reason=reason)))
            return
        self.is_full = self.is_full or self._images_with(piece) > (self.max_images or float("inf"))
        if not self.is_full:
            self.pieces[piece.trial, piece.index] = piece
            self.pending.append(piece)
        self._match()

    def _images_with(self, piece: Piece) -> int:
        """Return the images of the whole sweep once this piece and all under way are trained."""
        budgets = {**self.images, **{known.trial: known.budget for known in self.pieces.values()}, piece.trial: piece.budget}
        return sum(budgets.values())

    def _match(self) -> None:
        """Give pending pieces to waiting groups, first come, first served; let groups leave for which there will be none."""
        free = [(group, future) for group, future in self.waiting.items() if not future.done()]
        for group, future in free:
            if self.pending and not self.is_closed:
                self.taken[group] = piece = self.pending.popleft()
                self.errors.pop(group, None)
                future.set_result(piece)
            elif self.is_closed or self.is_full:
                future.set_result(None)

    def _drop(self, group: str) -> None:
        """Queue the piece of a group whose workers have died, in front, or give its trial up."""
        piece, error = self.taken.pop(group), self.errors.pop(group, None)
        trial = piece.trial
        self.num_failures[trial] += 1
        because = f" ({error})" if error else ""
        goes_on = self.num_failures[trial] <= self.max_failures
        self.failures.append(Failure(trial, f"its workers died{because}", goes_on))
        if goes_on:
            self.pending.appendleft(piece)
        else:
            self.given_up.add(trial)
            reason = f"its workers died more than train.max_failures={self.max_failures} times{because}"
            self._resolve((trial, piece.index), (piece.budget, Outcome(PieceEnd.FAILED, self.positions[trial], reason=reason)))
        self._match()

    def _report(self, key: Key) -> asyncio.Future[Report]:
        if key not in self.reports:
            self.reports[key] = asyncio.get_running_loop().create_future()
            if self.is_dismissed:
                _set(self.reports[key], (0, Outcome(PieceEnd.INTERRUPTED, 0)))
        return self.reports[key]

    def _resolve(self, key: Key, report: Report) -> None:
        _set(self._report(key), report)


def _set(future: asyncio.Future[Report], report: Report) -> None:
    if not future.done():
        future.set_result(report)


class WorkQueue:
    """The driver's end of the queue's actor, which lives on this node."""

    def __init__(self, rungs: list[int], standing: Standing, *, max_failures: int, max_images: int | None) -> None:
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        actor = ray.remote(WorkQueueState).options(num_cpus=0, max_concurrency=MAX_WAITING, scheduling_strategy=here)
        self.actor: Any = actor.remote(rungs, standing, max_failures=max_failures, max_images=max_images)

    def release(self, trial: int, index: int, budget: int, outcome: Outcome) -> None:
        """See `WorkQueueState.release`."""
        self.actor.release.remote(trial, index, budget, outcome)

    def go_live(self) -> None:
        """See `WorkQueueState.go_live`."""
        self.actor.go_live.remote()

    def acknowledge(self, trial: int) -> tuple[int, Report]:
        """See `WorkQueueState.acknowledge`."""
        return ray.get(self.actor.acknowledge.remote(trial))  # type: ignore[no-any-return]

    def move(self, trial: int, images: int) -> None:
        """See `WorkQueueState.move`."""
        ray.get(self.actor.move.remote(trial, images))

    def lose(self, group: str) -> None:
        """See `WorkQueueState.lose`."""
        ray.get(self.actor.lose.remote(group))

    def take(self, group: str, fresh: bool) -> Piece | None:
        """See `WorkQueueState.take`."""
        return ray.get(self.actor.take.remote(group, fresh))  # type: ignore[no-any-return]

    def finish(self, group: str, outcome: Outcome) -> None:
        """See `WorkQueueState.finish`."""
        ray.get(self.actor.finish.remote(group, outcome))

    def report_error(self, group: str, error: str) -> None:
        """See `WorkQueueState.report_error`."""
        ray.get(self.actor.report_error.remote(group, error))

    def close(self) -> None:
        """See `WorkQueueState.close`."""
        ray.get(self.actor.close.remote())

    def dismiss(self) -> None:
        """See `WorkQueueState.dismiss`."""
        self.actor.dismiss.remote()

    def snapshot(self) -> Snapshot:
        """See `WorkQueueState.snapshot`. Raises `ClusterError` if the queue's process has died."""
        try:
            return ray.get(self.actor.snapshot.remote())  # type: ignore[no-any-return]
        except ray.exceptions.RayActorError as error:
            raise ClusterError("sweep", "the process of its work queue died", "the same command goes on from there") from error
