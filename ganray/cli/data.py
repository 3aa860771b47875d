"""`ganray init`, `ganray prepare`, `ganray fit-extractor` and `ganray score`."""

from pathlib import Path

import click

from ganray.cli.display import console_reporter, progress_bar
from ganray.cli.listing import aligned, print_json, print_table
from ganray.cli.options import LocalPath, address_option, check_name, json_option, with_job
from ganray.config import Job, load_job
from ganray.config.compatibility import KINDS
from ganray.config.evaluate import SCORES
from ganray.errors import plural
from ganray.train.view import TrainingView

FILE_KINDS = ("image", "sound", "video")


@click.command("init")
@click.argument("path")
@click.option("--out", type=LocalPath(dir_okay=False), help="The job file; by default NAME.yaml, here.")
@click.option("--name", metavar="NAME", help="The run's and the model's name; by default that of the source.")
@click.option("--storage", default="./store", show_default=True, metavar="URI", help="A folder, or s3://bucket/prefix.")
@click.option("--kind", type=click.Choice(FILE_KINDS), help="What the samples are, if they are taken for something else.")
@json_option
def init_command(path: str, out: Path | None, name: str | None, storage: str, kind: str | None, as_json: bool) -> None:
    """Look at PATH, a folder or archive of images, sounds or videos, rows or lines, and write a job file for it that gives its reasons."""
    if name is not None:
        check_name("--name", name)
    from ganray.scaffold.job_file import write_job

    with progress_bar("looking", quiet=as_json) as progress:
        file, draft = write_job(path, out=out, name=name, storage=storage, kind=kind, progress=progress)
    if as_json:
        print_json({"out": str(file), "survey": draft.facts, "job": {path: value for path, value, _ in draft.entries}})
        return
    click.echo("\n".join([*aligned(draft.facts), "", f"wrote  {file}; next: ganray train {file}"]))
    for note in draft.notes:
        click.echo(f"note: {note}", err=True)


@click.command("prepare")
@with_job
@address_option
@json_option
def prepare_command(job: str, overrides: tuple[str, ...], address: str | None, as_json: bool) -> None:
    """Prepare the data of JOB: fixed-shape shards and a dataset card, made once and reused."""
    checked = load_job(job, overrides)
    from ganray.modalities.codec import by
    from ganray.train.train import prepare_data

    with console_reporter(TrainingView(checked), quiet=as_json) as reporter:
        dataset = prepare_data(checked, address=address, reporter=reporter)
    card = dataset.card
    if as_json:
        print_json({"uri": dataset.uri, **card.model_dump(mode="json")})
        return
    click.echo(f"{plural(card.count, 'sample')} of {by(card.shape)} in {dataset.uri}")
    if card.duplicates:
        click.echo(f"{plural(card.duplicates, 'sample')} of them repeat earlier ones")
    if card.skipped.count:
        click.echo(f"{plural(card.skipped.count, 'sample')} could not be read; see {dataset.uri}/card.json")
    if card.left_out.count:
        click.echo(f"{plural(card.left_out.count, 'file')} of the source left out; see {dataset.uri}/card.json")


@click.command("fit-extractor")
@with_job
@click.option("--out", type=LocalPath(dir_okay=False, writable=True), help="Also write the weights to this .safetensors file.")
@address_option
@json_option
def fit_extractor_command(job: str, overrides: tuple[str, ...], out: Path | None, address: str | None, as_json: bool) -> None:
    """Fit the feature extractor that scores JOB's generators, and store it beside the dataset."""
    checked = load_job(job, overrides)
    from ganray.train.train import fit_extractor

    with console_reporter(TrainingView(checked), quiet=as_json) as reporter:
        fitted = fit_extractor(checked, address=address, reporter=reporter, out=out)
    if as_json:
        print_json(fitted)
    else:
        click.echo("\n".join(aligned(fitted)))


@click.command("score")
@click.argument("folder")
@click.option("--against", required=True, metavar="DATASET", help="The URI of a prepared dataset, as `ganray prepare JOB` prints it.")
@json_option
def score_command(folder: str, against: str, as_json: bool) -> None:
    """Score the samples in FOLDER, a folder, archive, file or s3:// prefix of what DATASET holds, as its generators are scored."""
    from ganray.train.score_folder import score_folder

    with console_reporter(TrainingView(Job()), quiet=as_json) as reporter:
        found = score_folder(folder, against=against, reporter=reporter)
    if as_json:
        print_json(vars(found))
        return
    click.echo(
        f"{plural(found.count, KINDS[found.kind].noun)} of {found.folder}"
        + (f", {found.skipped:,} could not be read" if found.skipped else "")
    )
    rows = [(name.removeprefix("metric/"), f"{value:.4g}", SCORES[name].direction) for name, value in found.scores.items()]
    print_table(("score", "value", "direction"), rows)
