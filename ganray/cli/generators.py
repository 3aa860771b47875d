"""`ganray publish`, `ganray generate`, `ganray directions` and `ganray provenance`."""

from pathlib import Path
from typing import Any

import click

from ganray.cli.display import progress_bar
from ganray.cli.listing import print_json
from ganray.cli.options import LocalPath, address_option, check_name, json_option, public_key_option, storage_option
from ganray.config.fields import LIMIT
from ganray.errors import ConfigError, plural


@click.command("publish")
@click.argument("run")
@storage_option
@json_option
def publish_command(run: str, storage: str, as_json: bool) -> None:
    """Publish the best generator of RUN, by name, unless it is published already."""
    check_name("RUN", run)
    from ganray.train.publish import publish_run

    uri = publish_run(storage, run)
    print_json({"version": uri}) if as_json else click.echo(f"published  {uri}")


@click.command("generate")
@click.argument("artifact")
@click.option("--num", default=64, show_default=True, type=click.IntRange(1, 1 << 48), help="How many samples.")
@click.option(
    "--seed", default=0, show_default=True, type=click.IntRange(0, LIMIT - 1), help="Sample i is a function of the seed and i alone."
)
@click.option("--out", required=True, type=LocalPath(), help="A .png (one grid), .parquet, a folder; .txt, .csv, .wav, .mp4, by kind.")
@click.option("--class", "label", metavar="NAME|NUMBER", help="Of a conditional generator: samples of this class only.")
@click.option("--truncation", type=float, metavar="PSI", help="Truncate latents to plus or minus PSI: below 2, more typical, less varied.")
@click.option("--where", multiple=True, metavar="COLUMN=VALUE", help="Of a table: rows in which a column has this value; more than once.")
@click.option("--local", is_flag=True, help="Generate in this process, without Ray.")
@address_option
@public_key_option
@json_option
def generate_command(
    artifact: str,
    num: int,
    seed: int,
    out: Path,
    label: str | None,
    truncation: float | None,
    where: tuple[str, ...],
    local: bool,
    address: str | None,
    public_key: Path | None,
    as_json: bool,
) -> None:
    """Generate samples from ARTIFACT: the URI of a version's folder, or of a model's folder (then its best)."""
    from ganray.generation.batch import generate

    settings: dict[str, Any] = {"where": _values(where), "local": local, "address": address, "public_key": public_key}
    with progress_bar("generating", quiet=as_json) as progress:
        generate(artifact, num=num, seed=seed, out=out, label=label, truncation=truncation, progress=progress, **settings)
    print_json({"out": str(out), "num": num, "seed": seed}) if as_json else click.echo(f"{plural(num, 'sample')} in {out}")


def _values(where: tuple[str, ...]) -> dict[str, str]:
    """Return the values of columns by their names. Raises `ConfigError` for what is not COLUMN=VALUE, and for a column given twice."""
    values: dict[str, str] = {}
    for text in where:
        name, equals, value = text.partition("=")
        if not name or not equals or name.strip() in values:
            problem = f"column {name.strip()} is given twice" if equals and name else f"expected COLUMN=VALUE, got {text!r}"
            raise ConfigError("--where", problem, "write it like --where 'income=>50K'")
        values[name.strip()] = value
    return values


@click.command("directions")
@click.argument("artifact")
@click.option("--num", default=8, show_default=True, type=click.IntRange(1), help="How many directions, the most effective first.")
@click.option("--reach", default=3.0, show_default=True, type=click.FloatRange(0, 100, min_open=True), help="How far, in deviations.")
@click.option("--samples", default=2, show_default=True, type=click.IntRange(1, 64), help="Rows of the sheet for each direction.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0, LIMIT - 1), help="Seed of those samples.")
@click.option("--extractor", metavar="URI", help="A classifier's file; by default the shipped one that the version was scored by.")
@click.option("--out", required=True, type=LocalPath(), help="The folder of directions.json and directions.png.")
@public_key_option
@json_option
def directions_command(
    artifact: str,
    num: int,
    reach: float,
    samples: int,
    seed: int,
    extractor: str | None,
    out: Path,
    public_key: Path | None,
    as_json: bool,
) -> None:
    """Find the directions of latents along which samples of ARTIFACT change most, and show samples along each."""
    from ganray.generation.directions import SHEET, write_directions

    settings: dict[str, Any] = {"reach": reach, "samples": samples, "seed": seed, "extractor": extractor, "public_key": public_key}
    facts = write_directions(artifact, num=num, out=out, **settings)
    print_json(facts) if as_json else click.echo(f"{plural(num, 'direction')} in {out / SHEET}")


@click.command("provenance")
@click.argument("file", type=LocalPath())
@click.option("--storage", metavar="URI", help="Where the version is looked up, or its folder; without it, a claim is only shown.")
@public_key_option
@json_option
def provenance_command(file: Path, storage: str | None, public_key: Path | None, as_json: bool) -> None:
    """Print the version and seed of FILE, which `generate` wrote, verified by generating its samples again."""
    from ganray.generation.provenance import provenance, read_claim

    if storage is None:
        claim = read_claim(file)
        print_json({"claim": claim.model_dump(exclude_none=True)}) if as_json else click.echo(f"claims to be {claim.claim()}")
        raise ConfigError("--storage", f"what {file} claims is not verified", "name the storage in which to look the version up")
    with progress_bar("generating again", quiet=as_json) as progress:
        facts = provenance(file, storage=storage, public_key=public_key, progress=progress)
    if as_json:
        print_json(facts)
        return
    click.echo(f"{facts['samples']} of {facts.get('model')} {facts.get('version')} from seed {facts['seed']}")
    click.echo(f"found in {facts['found']}, generated again: equal within {plural(facts['largest_difference'], facts['unit'])}")
    if facts["largest_difference"]:
        click.echo(f"machines round differently; the tolerance is {facts['tolerance']}")
