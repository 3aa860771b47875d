"""The sweep under Ray Tune: every slot is a Tune trial, whose driver takes no CPU and starts Ray Train workers.

Tune places, watches and ends the slots, as many as the cluster can place; the search assigns them legs, over the desk. Legs end by
themselves, so nothing ever has to be paused or stopped in the middle: that would leave its workers' placement group behind.
"""

import logging
import os
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import ray
from ray import tune
from ray.tune import Stopper
from ray.tune.progress_reporter import TrialProgressCallback
from ray.tune.search import Searcher

from ganray.sweep.desk import LEAVE
from ganray.sweep.search import LegOutcome, Search
from ganray.sweep.slot import SweepContext, run_slot

SETTINGS = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_WARN_THRESHOLD_S": "1000",
    "TUNE_MAX_PENDING_TRIALS_PG": "64",  # slots that may be starting together: how many are wanted is decided here
    "RAY_AIR_NEW_OUTPUT": "0",
}
DRIVER = 0.001  # of the node's own resource, which ties a slot's driver to this node: no CPU
POLL_S = 0.1
IDLE_S = 15.0  # that a slot may hold its place without a leg, for one to come
GRACE_S = 10.0  # for slots to leave once the search is over; those that wait for a place cannot


class SlotsFailed(RuntimeError):
    """Slots broke down again and again without finishing a leg."""


@dataclass
class Board:
    """What Tune's thread and the sweep's share: how many slots are wanted, and what has befallen slots."""

    wanted: int = 0
    over: bool = False
    present: set[str] = field(default_factory=set)
    gone: deque[tuple[str, bool]] = field(default_factory=deque)  # slot, whether it broke down
    watched: deque[dict[str, Any]] = field(default_factory=deque)


def execute(
    search: Search, shared: SweepContext, *, count_slots: Callable[[], int], tick: Callable[[], None], say: Callable[[str], None]
) -> None:
    """Run legs until the search is over. `tick` is called a few times a second; what it raises ends the sweep."""
    board, failures = Board(), []
    with tempfile.TemporaryDirectory(prefix="ganray-sweep-", ignore_cleanup_errors=True) as scratch:
        thread = threading.Thread(target=_collect_failure, args=(_tuner(board, shared, scratch).fit, failures), name="tune", daemon=True)
        foreman = Foreman(search, shared, board, say)
        board.wanted = min(count_slots(), search.demand())
        thread.start()
        try:
            while thread.is_alive():
                thread.join(POLL_S)
                foreman.work()
                board.wanted = min(count_slots(), search.demand())
                tick()
        finally:
            board.over = True
            thread.join(GRACE_S)
    if failures:
        raise failures[0]


class Foreman:
    """Assigns legs to slots and takes in what comes of them."""

    def __init__(self, search: Search, shared: SweepContext, board: Board, say: Callable[[str], None]) -> None:
        self.search, self.desk, self.board, self.say = search, shared.desk, board, say
        self.waiting: dict[str, float] = {}
        self.broken = 0
        self.faults: dict[int, str] = {}
        self.over_since: float | None = None

    def work(self) -> None:
        """Settle what has happened, then give everyone who waits a leg or leave."""
        mail = ray.get(self.desk.collect.remote())
        for line in mail.remarks:
            self.say(line)
        self.faults |= mail.faults
        for outcome in mail.outcomes:
            self.broken = 0
            self.search.tell(LegOutcome(**outcome))
        for trial in mail.dropped:
            self._lose(trial, "its workers died")
        while self.board.gone:
            self._settle_gone(*self.board.gone.popleft())
        while self.board.watched:
            seen = self.board.watched.popleft()
            self.search.watch(seen["trial"], seen["images"], seen["score"])
        for slot in mail.wanting:
            self.waiting.setdefault(slot, time.monotonic())
        for slot in list(self.waiting):
            self._serve(slot)
        self._see_whether_over()

    def _serve(self, slot: str) -> None:
        trial = self.search.next_leg()
        if trial is not None:
            self.desk.assign.remote(slot, {"trial": trial.number, "point": trial.point, "target": trial.target})
        elif self.search.is_over or self.search.closed or time.monotonic() - self.waiting[slot] > IDLE_S:
            self.desk.assign.remote(slot, LEAVE)
        else:
            return
        del self.waiting[slot]

    def _settle_gone(self, slot: str, broke: bool) -> None:
        self.waiting.pop(slot, None)
        trial = ray.get(self.desk.give_up.remote(slot))
        if trial is not None:
            self._lose(trial, "its driver died")
        self.broken += broke
        if self.broken > self.search.max_failures + 1:
            raise SlotsFailed(f"{self.broken} slots in a row broke down without finishing a leg; see the lines above and Ray's logs")

    def _lose(self, trial: int, what: str) -> None:
        fault = f" ({self.faults.pop(trial)})" if trial in self.faults else ""
        gone_on = self.search.lost(trial, f"{what} more than train.max_failures={self.search.max_failures} times{fault}")
        self.say(f"trial {trial:04d}: {what}{fault}; it {'goes on from its last checkpoint' if gone_on else 'is given up'}")

    def _see_whether_over(self) -> None:
        if not self.search.running and (self.search.closed or not self.search.demand()):
            self.search.next_leg()
        if self.search.is_over:
            self.over_since = self.over_since or time.monotonic()
            self.board.over = time.monotonic() - self.over_since > GRACE_S or not self.board.present


class SlotSearcher(Searcher):
    """The board as Tune's search algorithm: it suggests another slot whenever one more is wanted than there is."""

    def __init__(self, board: Board) -> None:
        super().__init__()
        self.board = board

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """Return a new slot's configuration, None to be asked again, or that there are no more."""
        if self.board.over:
            return Searcher.FINISHED
        if len(self.board.present) >= self.board.wanted:
            return None
        self.board.present.add(trial_id)
        return {"slot": trial_id}

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Pass on how far a slot's trial is."""
        self.board.watched.append({key: result[key] for key in ("trial", "images", "score")})

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Take in that a slot is gone."""
        self.board.present.discard(trial_id)
        self.board.gone.append((trial_id, error))

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save: the sweep's own records are what it resumes from."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to restore."""


class WhenOver(Stopper):
    """Ends what is left of Tune's trials once the search is over: slots that still wait for a place."""

    def __init__(self, board: Board) -> None:
        self.board = board

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """No slot is stopped for what it reports."""
        return False

    def stop_all(self) -> bool:
        """Return whether everything shall end now."""
        return self.board.over


class Quiet(TrialProgressCallback):
    """Tune's own words about its trials, unsaid: the sweep has its reporter."""

    def _print(self, msg: str) -> None:
        """Print nothing."""


def _tuner(board: Board, shared: SweepContext, scratch: str) -> tune.Tuner:
    os.environ.update(SETTINGS)
    for noisy in ("ray.tune", "ray.train", "ray.air"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
    return tune.Tuner(
        tune.with_resources(tune.with_parameters(run_slot, shared=shared), {_this_node(): DRIVER}),
        tune_config=tune.TuneConfig(search_alg=SlotSearcher(board), num_samples=-1, reuse_actors=True),
        run_config=tune.RunConfig(
            name="slots",
            storage_path=scratch,
            verbose=0,
            callbacks=[Quiet()],
            failure_config=tune.FailureConfig(max_failures=0),
            stop=WhenOver(board),
        ),
    )


def _this_node() -> str:
    """Return the resource that only this node has."""
    here = ray.get_runtime_context().get_node_id()
    (node,) = [node for node in ray.nodes() if node["NodeID"] == here]
    return next(name for name in node["Resources"] if name.startswith("node:") and name != "node:__internal_head__")


def _collect_failure(function: Callable[[], Any], failures: list[BaseException]) -> None:
    try:
        function()
    except BaseException as failure:
        failures.append(failure)
