"""A trial as Ray Tune sees it: a Trainable that takes no CPU, and whose every step is a piece of training by a worker group.

Its state is the trial's run in the store, so that its process can be killed, paused or used for another trial at any time.
"""

import json
import math
from pathlib import Path
from typing import Any

import ray
from ray import tune

from ganray.config import Sweep
from ganray.sweep.pieces import Outcome, PieceEnd


class TrialTrainable(tune.Trainable):
    """One trial at a time. `step` trains to the next rung; a checkpoint is a pointer that only says which trial it is of."""

    def setup(self, config: dict[str, Any], queue: Any, sweep: Sweep, rungs: list[int]) -> None:  # type: ignore[override]
        """Take what all trials share."""
        self.queue, self.sweep, self.rungs = queue, sweep, rungs
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Become another trial, or the same one with other params."""
        self.params = dict(new_config)
        self.shown: dict[str, Any] = {self.sweep.metric: math.inf, "images": 0, "rung": 0}
        return True

    def step(self) -> dict[str, Any]:
        """Wait until the trial is trained to its next rung, and return the result that searcher and scheduler compare."""
        budget, outcome = ray.get(self.queue.train.remote(int(self.trial_id), self.params))
        if outcome.ended == PieceEnd.INTERRUPTED:
            return {**self.shown, "interrupted": True, "done": True}
        rung = self.rungs.index(budget) + 1
        self.shown = {self.sweep.metric: score_of(outcome, self.sweep), "images": budget, "rung": rung, "status": outcome.ended.value}
        is_broken = outcome.ended.is_broken and not self.sweep.is_population  # whose members may clone another and go on
        return {**self.shown, "done": is_broken or budget >= self.rungs[-1]}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Write the pointer."""
        Path(checkpoint_dir, "pointer.json").write_text(json.dumps({"trial": self.trial_id, **self.shown}))

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Load nothing: the work queue knows where the trial stands."""


def score_of(outcome: Outcome, sweep: Sweep) -> float:
    """Return what trials are compared by: the best score so far, or of a population's member, whose state goes on, the last one.

    A trial that broke, or has no finite score, is infinitely bad.
    """
    score = outcome.last if sweep.is_population else outcome.score
    if outcome.ended.is_broken or score is None or not math.isfinite(score):
        return -math.inf if sweep.maximise else math.inf
    return score
