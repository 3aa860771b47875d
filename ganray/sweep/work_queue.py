"""The work queue of a sweep: an asyncio actor between Tune's trials, which wait for outcomes, and worker groups, which wait for pieces.

Nobody polls. A piece has a key, so that a trial's process that was started again waits for the one outcome; while a resume replays
the journal, recorded outcomes are answered in their turn. The actor lives and dies with the sweep's driver.
"""

import asyncio
from collections import Counter, deque
from dataclasses import dataclass
from typing import Any

import ray

from ganray.cluster.placement import on_this_node
from ganray.errors import ClusterError
from ganray.runs.trials import Params, TrialStatus
from ganray.sweep.journal import Outcome, Trials

MAX_WAITING = 10_000  # calls that may wait at once: one a trial and one a worker group
IDLE_S = 15.0  # that a worker group may wait for a piece before it leaves its place to others
ANSWER_S = 300.0  # that a call waits for an answer, beyond which the queue counts as dead

Key = tuple[int, int]  # trial, index
Report = tuple[int, Outcome]  # a piece's budget and its outcome
INTERRUPTED: Report = (0, Outcome(TrialStatus.WAITING, 0))


@dataclass(frozen=True)
class Piece:
    """A piece of training: a trial's run up to `budget` images. Its key is (trial, index), the how manyeth piece of the trial it is."""

    trial: int
    index: int
    params: Params
    budget: int


@dataclass(frozen=True)
class Snapshot:
    """Pieces under way, the keys of those that are being trained, and since the last snapshot who failed: (trial, why, goes on).

    `refused` are trials that would exceed the sweep's images. `is_idle`: nothing is being trained or reported.
    """

    pieces: list[Piece]
    running: set[Key]
    failures: list[tuple[int, str, bool]]
    refused: set[int]
    is_idle: bool


class WorkQueue:
    """The queue. All methods run on one event loop; `trials` are those of the journal when the driver started."""

    def __init__(self, trials: Trials, *, max_failures: int, max_images: int | None) -> None:
        self.trials, self.max_failures, self.max_images = trials, max_failures, max_images
        self.too_often = f"its workers died more than train.max_failures={max_failures} times"
        self.positions = Counter({trial.number: trial.position for trial in trials.all})
        self.images = Counter({trial.number: trial.images for trial in trials.all})
        self.num_recorded = Counter({trial.number: trial.num_pieces for trial in trials.all})
        self.num_failures = Counter({trial.number: trial.failures for trial in trials.all})
        self.given_up = {trial.number for trial in trials.all if trial.status == TrialStatus.FAILED}
        self.num_reported: Counter[int] = Counter()  # pieces that Tune has met, by trial
        self.reports: dict[Key, asyncio.Future[Report]] = {}
        self.pieces: dict[Key, Piece] = {}
        self.pending: deque[Piece] = deque()
        self.taken: dict[str, Piece] = {}  # by worker group
        self.waiting: dict[str, asyncio.Future[Piece | None]] = {}
        self.errors: dict[str, tuple[str, bool]] = {}
        self.failures: list[tuple[int, str, bool]] = []
        self.refused: set[int] = set()  # trials, once a piece would have exceeded the sweep's images
        self.live = asyncio.Event()
        self.is_closed = self.is_dismissed = False

    # For trials

    async def train(self, trial: int, params: Params) -> Report:
        """Have a trial trained to its next rung; return that and the outcome, or `INTERRUPTED` once the sweep has stopped."""
        key = (trial, self.num_reported[trial])
        if key[1] >= self.num_recorded[trial]:
            await self.live.wait()
            if key not in self.reports:
                self._submit(Piece(*key, params, self.trials.next_rung(self.positions[trial])))
        return await asyncio.shield(self._report(key))

    # For worker groups

    async def take(self, group: str, fresh: bool) -> Piece | None:
        """Wait for a piece, None to leave. A `fresh` group has just started: what it had before goes to the first that asks."""
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
        if outcome.status == TrialStatus.WAITING:
            self.pending.appendleft(piece)
        else:
            self._answer((piece.trial, piece.index), (piece.budget, outcome))
        self._match()

    async def report_error(self, group: str, error: str, is_final: bool) -> None:
        """Note what a worker met that it cannot go on from, and whether another try would only meet it again."""
        if group not in self.errors or is_final:  # others may fail because of it
            self.errors[group] = error, is_final

    # For the driver

    async def release(self, trial: int, budget: int, outcome: Outcome) -> None:
        """Answer the next recorded piece of a trial."""
        self._answer((trial, self.num_reported[trial]), (budget, outcome))

    async def go_live(self) -> None:
        """End the replay: from now on pieces are trained."""
        self.live.set()

    async def acknowledge(self, trial: int) -> Report:
        """Count a trial's piece as met by Tune, and return what was reported."""
        key = (trial, self.num_reported[trial])
        budget, outcome = self.reports.pop(key).result()
        self.pieces.pop(key, None)
        self.num_reported[trial] += 1
        if key[1] >= self.num_recorded[trial]:
            self.positions[trial], self.images[trial] = budget, outcome.images
        return budget, outcome

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
        for key in self.reports:
            self._answer(key, INTERRUPTED)
        self._match()

    async def snapshot(self) -> Snapshot:
        """Return how things stand."""
        failures, self.failures = self.failures, []
        running = {(piece.trial, piece.index) for piece in self.taken.values()}
        is_unmet = any(future.done() for future in self.reports.values())
        is_idle = not self.taken and not is_unmet and (self.is_closed or not self.pending)
        return Snapshot(list(self.pieces.values()), running, failures, self.refused, is_idle)

    def _submit(self, piece: Piece) -> None:
        """Queue a piece, unless its trial was given up or it would exceed the sweep's images; then nobody takes another."""
        if piece.trial in self.given_up:
            self._give_up(piece, self.too_often)
            return
        budgets = {**self.images, **{known.trial: known.budget for known in self.pieces.values()}, piece.trial: piece.budget}
        if self.refused or sum(budgets.values()) > (self.max_images or float("inf")):
            self.refused.add(piece.trial)
        else:
            self.pieces[piece.trial, piece.index] = piece
            self.pending.append(piece)
        self._match()

    def _match(self) -> None:
        """Give pending pieces to waiting groups, first come, first served; let groups leave for which there will be none."""
        for group, future in [(group, future) for group, future in self.waiting.items() if not future.done()]:
            if self.pending and not self.is_closed:
                self.taken[group] = piece = self.pending.popleft()
                self.errors.pop(group, None)
                future.set_result(piece)
            elif self.is_closed or self.refused:
                future.set_result(None)

    def _drop(self, group: str) -> None:
        """Queue the piece of a group whose workers have died, in front, or give its trial up."""
        piece, (error, is_final) = self.taken.pop(group), self.errors.pop(group, ("", False))
        self.num_failures[piece.trial] += 1
        because = f" ({error})" if error else ""
        goes_on = not is_final and self.num_failures[piece.trial] <= self.max_failures
        self.failures.append((piece.trial, error if is_final else f"its workers died{because}", goes_on))
        if goes_on:
            self.pending.appendleft(piece)
        else:
            self._give_up(piece, error if is_final else f"{self.too_often}{because}")
        self._match()

    def _give_up(self, piece: Piece, reason: str) -> None:
        self.given_up.add(piece.trial)
        outcome = Outcome(TrialStatus.FAILED, self.positions[piece.trial], reason=reason)
        self._answer((piece.trial, piece.index), (piece.budget, outcome))

    def _report(self, key: Key) -> "asyncio.Future[Report]":
        if key not in self.reports:
            self.reports[key] = asyncio.get_running_loop().create_future()
            if self.is_dismissed:
                self._answer(key, INTERRUPTED)
        return self.reports[key]

    def _answer(self, key: Key, report: Report) -> None:
        if not (future := self._report(key)).done():
            future.set_result(report)


def start_work_queue(trials: Trials, *, max_failures: int, max_images: int | None) -> Any:
    """Return the queue's actor, on this node."""
    actor: Any = ray.remote(WorkQueue).options(num_cpus=0, max_concurrency=MAX_WAITING, scheduling_strategy=on_this_node())
    return actor.remote(trials, max_failures=max_failures, max_images=max_images)


def ask(queue: Any, method: str, *arguments: Any) -> Any:
    """Return what a method of the queue's actor returns. Raises `ClusterError` if its process has died, or does not answer."""
    try:
        return ray.get(getattr(queue, method).remote(*arguments), timeout=ANSWER_S)
    except ray.exceptions.GetTimeoutError as error:
        raise ClusterError("sweep", f"its work queue did not answer {method} within {ANSWER_S:g} s", "the same command goes on") from error
    except ray.exceptions.RayActorError as error:
        raise ClusterError("sweep", "the process of its work queue died", "the same command goes on from there") from error
