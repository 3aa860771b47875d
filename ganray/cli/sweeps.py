"""`ganray sweep`."""

import contextlib
import sys
from functools import partial
from typing import TYPE_CHECKING

import click

from ganray.cli.display import console_reporter
from ganray.cli.listing import print_json, print_rows
from ganray.cli.options import address_option, json_option, with_job
from ganray.cli.sweep_table import sweep_table
from ganray.config import load_job
from ganray.config.describe import short
from ganray.sweep.view import SweepView

if TYPE_CHECKING:
    from ganray.sweep.result import SweepResult


@click.command("sweep")
@with_job
@click.option("--dry-run", is_flag=True, help="Check space and data, print what would be searched, and start nothing.")
@address_option
@json_option
def sweep_command(job: str, overrides: tuple[str, ...], dry_run: bool, address: str | None, as_json: bool) -> None:
    """Search what JOB's sweep section names, and publish the winner. The same command again resumes."""
    checked = load_job(job, overrides)
    from ganray.sweep.plan import check_space

    check_space(checked)
    if dry_run:
        from ganray.sweep.plan import plan_sweep
        from ganray.train.examine import examine

        print_rows({**plan_sweep(checked, address=address), **examine(checked)}, as_json=as_json)
        return
    from ganray.sweep.sweep import run_sweep

    with (
        console_reporter(SweepView(partial(sweep_table, checked)), quiet=as_json) as reporter,
        contextlib.redirect_stdout(sys.stderr),
    ):  # Ray prints to stdout
        result = run_sweep(checked, address=address, reporter=reporter)
    print_json(result.to_json()) if as_json else click.echo(_summary(result))
    if result.ended == "interrupted":
        sys.exit(130)


def _summary(result: "SweepResult") -> str:
    """Return what a person wants to know when a sweep has ended."""
    if result.ended == "interrupted":
        return f"stopped after {result.images_seen:,} images; the same command goes on from there"
    state = "was finished already" if result.was_finished else "is finished"
    lines = [f"sweep {result.name} {state}: {len(result.trials)} trials, {result.images_seen:,} images"]
    lines += [
        f"finalist   trial {finalist.trial:04d}: {finalist.score:.4g} on {finalist.protocol.num_samples:,} samples, "
        f"{finalist.first_score:.4g} while searching"
        for finalist in result.finalists
    ]
    if result.winner is not None:
        params = result.trials[result.winner].params
        lines.append("winner     " + " ".join(f"{path}={short(value)}" for path, value in sorted(params.items())))
    lines.append(f"results    {result.sweep}/results.parquet, trials.jsonl")
    if result.version:
        lines.append(f"published  {result.version}")
    return "\n".join(lines)
