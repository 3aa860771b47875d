"""A sweep as text: a line for each trial whose status has changed, or, on a terminal, what the command line draws."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from ganray.config.describe import short
from ganray.runs.trials import Trial, TrialStatus

if TYPE_CHECKING:
    from rich.console import RenderableType


class SweepView:
    """Shows the trials of a sweep: in a `table` where there is a terminal, and by lines elsewhere."""

    def __init__(self, table: "Callable[[list[Trial]], RenderableType] | None" = None) -> None:
        self.table = table
        self.shown: dict[int, tuple[TrialStatus, int]] = {}

    def draw(self, snapshot: list[Trial]) -> "RenderableType":
        """Return the table of a sweep's trials."""
        assert self.table is not None
        return self.table(snapshot)

    def lines(self, snapshot: list[Trial]) -> list[str]:
        """Return a line for each change."""
        before, self.shown = self.shown, {trial.number: (trial.status, trial.budget) for trial in snapshot}
        changed = [trial for trial in snapshot if before.get(trial.number) != self.shown[trial.number]]
        return ["  ".join(cells(trial)) for trial in changed if trial.status != TrialStatus.WAITING]


def cells(trial: Trial) -> list[str]:
    """Return a trial's name, status, images, score, time, and what else is to be said, as text."""
    until = trial.ended or time.time()
    took = int(until - trial.started) if trial.started else 0
    params = " ".join(f"{path}={short(value)}" for path, value in sorted(trial.params.items()))
    images = f"{trial.images:,}/{trial.budget:,}"
    rest = [params] + ([trial.reason] if trial.reason else [])
    return [trial.name, trial.status, images, short(trial.score), f"{took // 60}:{took % 60:02d}", *rest]
