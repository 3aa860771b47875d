"""A trial as Ray Tune sees it: a Trainable that takes no CPU, and whose every step is a piece of training by a worker group.

Its state is the trial's run in the store, so that its process can be killed, paused or used for another trial at any time.
"""

import math
from pathlib import Path
from typing import Any

import ray
from ray import tune

from ganray.config import Sweep
from ganray.runs.trials import TrialStatus
from ganray.sweep.journal import Outcome


class TrialTrainable(tune.Trainable):
    """One trial at a time. `step` trains to the next rung; a checkpoint is a pointer that only tells which trial it is of."""

    def setup(self, config: dict[str, Any], queue: Any, sweep: Sweep, rungs: list[int]) -> None:  # type: ignore[override]
        """Take what all trials share."""
        self.queue, self.sweep, self.rungs = queue, sweep, rungs
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Become another trial, or the same one with other params."""
        self.params, self.shown = dict(new_config), {self.sweep.metric: math.inf, "images": 0, "rung": 0}
        return True

    def step(self) -> dict[str, Any]:
        """Wait until the trial is trained to its next rung, and return the result that searcher and scheduler compare."""
        budget, outcome = ray.get(self.queue.train.remote(int(self.trial_id), self.params))
        if outcome.status == TrialStatus.WAITING:
            return {**self.shown, "interrupted": True, "done": True}
        self.shown = result_of(budget, outcome, self.sweep, self.rungs)
        return self.shown

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Write the pointer."""
        Path(checkpoint_dir, "trial").write_text(self.trial_id)

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Load nothing: the work queue knows where the trial stands."""


def result_of(budget: int, outcome: Outcome, sweep: Sweep, rungs: list[int]) -> dict[str, Any]:
    """Return a piece's result for Tune: the best score so far, or of a population's member, whose state goes on, the last one.

    A trial that broke, or has no finite score, is infinitely bad; a broken member of a population may clone another and go on.
    """
    score, is_broken = outcome.last if sweep.is_population else outcome.score, outcome.status.is_broken
    if is_broken or score is None or not math.isfinite(score):
        score = -math.inf if sweep.maximise else math.inf
    is_done = (is_broken and not sweep.is_population) or budget >= rungs[-1]
    return {sweep.metric: score, "images": budget, "rung": rungs.index(budget) + 1, "status": outcome.status.value, "done": is_done}
