"""`ganray prepare` and `ganray fit-extractor`."""

from pathlib import Path

import click

from ganray.cli.display import TrainingView, console_reporter
from ganray.cli.options import address_option, json_option, print_json, with_job
from ganray.config import load_job


@click.command("prepare")
@with_job
@address_option
@json_option
def prepare_command(job: str, overrides: tuple[str, ...], address: str | None, as_json: bool) -> None:
    """Prepare the data of JOB: fixed-shape shards and a dataset card, made once and found again."""
    checked = load_job(job, overrides)
    from ganray.train.train import prepare_data

    with console_reporter(TrainingView(checked), quiet=as_json) as reporter:
        prepared = prepare_data(checked, address=address, reporter=reporter)
    card = prepared.card.model_dump(mode="json")
    if as_json:
        print_json({"uri": prepared.uri, **card})
        return
    click.echo(f"{card['count']:,} samples of {card['channels']} x {card['height']} x {card['width']} in {prepared.uri}")
    if card["skipped"]["count"]:
        click.echo(f"{card['skipped']['count']} could not be read; see {prepared.uri}/card.json")


@click.command("fit-extractor")
@with_job
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False, writable=True), help="Also write the weights to this .safetensors file."
)
@address_option
@json_option
def fit_extractor_command(job: str, overrides: tuple[str, ...], out: Path | None, address: str | None, as_json: bool) -> None:
    """Fit the network whose features score JOB's generators, and keep it beside the dataset."""
    checked = load_job(job, overrides)
    from ganray.train.train import fit_extractor

    with console_reporter(TrainingView(checked), quiet=as_json) as reporter:
        fitted = fit_extractor(checked, address=address, reporter=reporter, out=out)
    if as_json:
        print_json(fitted)
    else:
        click.echo("\n".join(f"{name:<12}{value}" for name, value in fitted.items()))
