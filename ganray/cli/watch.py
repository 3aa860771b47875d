"""Following a run on the terminal: the view of `ganray train`, from the run's record; or each new record as a line of JSON."""

import json
import time
from typing import Any

import click

from ganray.cli.display import console_reporter
from ganray.cli.listing import GAP, event_row
from ganray.runs.follow import RunFollower
from ganray.runs.overview import existing_run, summarise
from ganray.storage import ObjectStore
from ganray.train.view import TrainingView

POLL_S = 2.0


def watch(storage: ObjectStore, name: str, *, as_json: bool, poll_s: float = POLL_S) -> None:
    """Show a run until nobody drives it any more. Raises `ConfigError` if there is none of that name."""
    run = existing_run(storage, name)
    follower, snapshot = RunFollower(run), dict[str, Any]()
    with console_reporter(TrainingView(run.job), quiet=as_json) as reporter:
        while True:
            is_driven = follower.is_driven()  # before the logs: what its driver wrote last is read once more
            records, events = follower.poll()
            if as_json:
                lines = [*records, *({"kind": "event", **event.to_json()} for event in events)]
                click.echo("".join(json.dumps(line) + "\n" for line in lines), nl=False)
            else:
                for event in events:
                    click.echo(GAP.join(event_row(event.to_json())), err=True)
            for record in records:
                snapshot.update(record)
            if snapshot:
                reporter.update(snapshot)
            if not is_driven:
                break
            time.sleep(poll_s)
    if not as_json:
        overview = summarise(run)
        progress = f"{overview.images_seen:,} of {overview.total_images:,} images"
        click.echo(f"run {name} is {overview.status.replace('_', ' ')}, and nobody drives it: {progress}")
