"""A sweep on the terminal: the table's rows, and a line a change where there is no terminal."""

import io

from rich.console import Console

from ganray.cli.sweep_table import ROWS, sweep_table
from ganray.config import Job, check_job
from ganray.config.describe import short_paths
from ganray.runs.trials import Trial, TrialStatus
from ganray.sweep.view import SweepView

RATE = "optimizer.generator.lr"
FINISHED, RUNNING, WAITING = TrialStatus.FINISHED, TrialStatus.RUNNING, TrialStatus.WAITING


def sweep_job() -> Job:
    """Return the job of a sweep of one rate."""
    return check_job({"name": "shown", "sweep": {"space": {RATE: {"loguniform": [1e-5, 1e-2]}}}})


def drawn(trials: list[Trial]) -> list[str]:
    """Return the lines of a table."""
    console = Console(file=io.StringIO(), width=120)
    console.print(sweep_table(sweep_job(), trials))
    return console.file.getvalue().splitlines()


def test_the_table_shows_what_runs_first_and_then_the_best() -> None:
    trials = [
        Trial(0, {RATE: 1e-3}, 900, FINISHED, 900, 3.5, started=100.0, ended=165.0),
        Trial(1, {RATE: 2e-3}, 900, FINISHED, 900, 2.5, started=100.0, ended=130.0),
        Trial(2, {RATE: 3e-3}, 900, RUNNING, 450, None, started=100.0, ended=105.0),
    ]
    title, *lines = drawn(trials)
    assert "shown: 3 trials, 1 running, 2,250 images" in title
    rows = [line.replace("│", " ").split() for line in lines if " 0.00" in line]
    assert rows == [
        ["0002", "running", "450/900", "0:05", "0.003"],
        ["0001", "finished", "900/900", "2.5", "0:30", "0.002"],
        ["0000", "finished", "900/900", "3.5", "1:05", "0.001"],
    ]


def test_a_long_sweep_fits_a_terminal() -> None:
    trials = [Trial(number, {RATE: 1e-3}, 900, FINISHED, 900, float(number)) for number in range(100)]
    assert len(drawn(trials)) < ROWS + 8


def test_headers_of_long_paths_can_be_told_apart() -> None:
    paths = [f"optimizer.{network}.{field}" for network in ("generator", "discriminator") for field in ("lr", "beta1")]
    assert list(short_paths(paths).values()) == ["generator.lr", "generator.beta1", "discriminator.lr", "discriminator.beta1"]
    assert list(short_paths(alike := ["seed", "a.lr.start", "b.lr.start", "c.b.lr.start"]).values()) == alike
    console = Console(file=io.StringIO(), width=80)
    space = {path: {"uniform": [0.1, 0.2]} for path in paths}
    console.print(sweep_table(check_job({"sweep": {"space": space}}), [Trial(0, dict.fromkeys(paths, 0.15), 900, RUNNING, 450)]))
    assert "…" not in console.file.getvalue()


def test_without_a_terminal_each_change_is_a_line() -> None:
    view, lines = SweepView(), []
    trial = Trial(0, {RATE: 1e-3}, 900, WAITING)
    for status in (WAITING, RUNNING, RUNNING, FINISHED):
        trial.status = status
        lines += view.lines([trial])
    assert [line.split()[:2] for line in lines] == [["0000", "running"], ["0000", "finished"]]
    assert lines[0].endswith(f"{RATE}=0.001")
