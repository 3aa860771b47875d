"""`ganray report`."""

from pathlib import Path

import click

from ganray.cli.display import progress_bar
from ganray.cli.listing import print_json
from ganray.cli.options import LocalPath, json_option, storage_option


@click.command("report")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@storage_option
@click.option("--out", type=LocalPath(dir_okay=False, writable=True), help="The HTML file; else by the names, here.")
@json_option
def report_command(names: tuple[str, ...], storage: str, out: Path | None, as_json: bool) -> None:
    """Write one self-contained HTML page about a run, a sweep or a trial (sweeps/SWEEP/trials/0000), or several runs, compared."""
    from ganray.report.report import write_report

    path = out or Path("-".join(name.replace("/", "-") for name in names)[:100] + ".html")
    with progress_bar("nearest samples", quiet=as_json) as progress:
        write_report(storage, names, path, progress)
    print_json({"out": str(path)}) if as_json else click.echo(f"report  {path}")
