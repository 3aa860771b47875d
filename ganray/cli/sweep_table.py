"""The live table of a sweep's trials, on a terminal."""

from typing import TYPE_CHECKING

from ganray.config import Job
from ganray.config.describe import short, short_paths
from ganray.errors import plural
from ganray.runs.trials import Trial, TrialStatus, rank_key
from ganray.sweep.view import cells

if TYPE_CHECKING:
    from rich.table import Table

ROWS = 24  # trials that a terminal shows at most: those under way, then the best
COLOURS = {"running": "cyan", "finished": "green", "diverged": "red", "collapsed": "red", "failed": "red"}


def sweep_table(job: Job, trials: list[Trial]) -> "Table":
    """Return the table of trials: those under way first, then by score."""
    from rich.table import Table

    running = sum(trial.status == TrialStatus.RUNNING for trial in trials)
    images = sum(trial.images for trial in trials)
    drawn = Table(title=f"{job.name}: {plural(len(trials), 'trial')}, {running} running, {images:,} images", title_justify="left")
    sweep = job.required_sweep
    paths = sorted(sweep.space)
    for name in ("trial", "status", "images", sweep.metric.removeprefix("metric/"), "time", *short_paths(paths).values()):
        drawn.add_column(name, justify="left" if name == "status" else "right", no_wrap=name in ("trial", "status"), overflow="fold")
    order = sorted(trials, key=lambda trial: (trial.status != TrialStatus.RUNNING, rank_key(trial.score, maximise=sweep.maximise)))
    for trial in order[:ROWS]:
        drawn.add_row(*cells(trial)[:5], *(short(trial.params.get(path)) for path in paths), style=COLOURS.get(trial.status, ""))
    return drawn
