"""`ganray publish`, `ganray models` and `ganray generate`."""

from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import click

from ganray.cli.display import progress_bar
from ganray.cli.options import address_option, check_name, json_option, print_json, storage_option


@click.command("publish")
@click.argument("run")
@storage_option
@json_option
def publish_command(run: str, storage: str, as_json: bool) -> None:
    """Publish the best generator of RUN, by name; what is published already stays as it is."""
    check_name("RUN", run)
    from ganray.train.publish import publish_run

    uri = publish_run(storage, run)
    print_json({"version": uri}) if as_json else click.echo(f"published  {uri}")


@click.group("models")
def models_group() -> None:
    """The published generators of a storage."""


@models_group.command("list")
@click.argument("name", required=False)
@storage_option
@json_option
def list_command(name: str | None, storage: str, as_json: bool) -> None:
    """List the versions of model NAME, or of all models, and mark each model's best."""
    models = [check_name("NAME", name)] if name else None
    from ganray.registry.registry import Registry
    from ganray.store import open_store

    registry = Registry(open_store(storage))
    versions = [version for model in (models or registry.models()) for version in registry.versions(model)]
    if as_json:
        print_json([asdict(version) for version in versions])
        return
    for version in versions:
        when = datetime.fromtimestamp(version.published).strftime("%Y-%m-%d %H:%M")
        score = f"{version.metric.removeprefix('metric/')} {version.score:.4g}"
        click.echo(
            f"{version.model}  {version.version}  {score}  {version.images_seen:,} images  {when}{'  best' if version.is_best else ''}"
        )
    if not versions:
        click.echo(f"no models in {storage}")


@click.command("generate")
@click.argument("artifact")
@click.option("--num", default=64, show_default=True, type=click.IntRange(1), help="How many samples.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Sample i depends on the seed and i alone.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="A .png (one grid), a .parquet file, or a folder of PNG files.")
@click.option("--local", is_flag=True, help="In this process, without Ray.")
@address_option
@json_option
def generate_command(artifact: str, num: int, seed: int, out: Path, local: bool, address: str | None, as_json: bool) -> None:
    """Generate samples from ARTIFACT: the URI of a version's folder, or of a model's folder (then its best)."""
    from ganray.generate.batch import generate

    with progress_bar("generating", quiet=as_json) as progress:
        generate(artifact, num=num, seed=seed, out=out, local=local, address=address, progress=progress)
    print_json({"out": str(out), "num": num, "seed": seed}) if as_json else click.echo(f"{num} samples in {out}")
