"""`ganray track`."""

import click

from ganray.cli.listing import print_json
from ganray.cli.options import json_option, storage_option


@click.command("track")
@click.argument("name")
@storage_option
@click.option(
    "--to",
    "kinds",
    multiple=True,
    type=click.Choice(["tensorboard", "mlflow", "wandb"]),
    help="A tracker; else those that the job names. With the job's settings for it, if there are any.",
)
@json_option
def track_command(name: str, storage: str, kinds: tuple[str, ...], as_json: bool) -> None:
    """Tell trackers of a run or sweep, by name, what they have not been told, as after one was down, or of a run without `track`."""
    from ganray.track.track import track

    told = track(storage, name, kinds)
    print_json({"run": told.folder, "trackers": told.kinds}) if as_json else click.echo(f"told  {', '.join(told.kinds)}  of {told.folder}")
