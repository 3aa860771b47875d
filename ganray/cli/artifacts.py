"""`ganray export`, `ganray models verify`, `pull` and `push`: checking artifacts, and taking them elsewhere."""

from pathlib import Path

import click

from ganray.cli.display import progress_bar
from ganray.cli.listing import print_json
from ganray.cli.options import FORMAT, LocalPath, check_name, json_option, new_storage_option, public_key_option, storage_option
from ganray.errors import ArtifactError


@click.command("export")
@click.argument("artifact")
@click.option("--to", required=True, type=FORMAT, help="The format: onnx for ONNX Runtime and others, torch-export for torch.export.load.")
@click.option("--out", type=LocalPath(), help="The file; by default model.onnx or model.pt2, here.")
@public_key_option
@json_option
def export_command(artifact: str, to: str, out: Path | None, public_key: Path | None, as_json: bool) -> None:
    """Write the generator of ARTIFACT, a version's folder or a model's, in a format that runs without ganray, compared on 64 samples."""
    from ganray.export.export import TOLERANCE, export_generator

    path, difference = export_generator(artifact, to=to, out=out, public_key=public_key)
    if as_json:
        print_json({"out": str(path), "format": to, "largest_difference": difference, "tolerance": TOLERANCE})
    else:
        click.echo(f"exported  {path}  samples equal within {difference:.1g}; tolerated: {TOLERANCE:g}")


@click.command("verify")
@click.argument("name")
@click.argument("version", required=False)
@storage_option
@public_key_option
@json_option
def verify_command(name: str, version: str | None, storage: str, public_key: Path | None, as_json: bool) -> None:
    """Hash every file of model NAME again, or of one VERSION, and check its best alias and history."""
    check_name("NAME", name)
    from ganray.registry.registry import Registry
    from ganray.registry.verify import summary, verify_model

    found = verify_model(Registry.open(storage), name, version, public_key=public_key)
    if as_json:
        print_json([{"what": what, "whole": not problems, "problems": problems} for what, problems in found.items()])
    else:
        click.echo("\n".join(f"{name} {what}  {'; '.join(problems) or 'ok'}" for what, problems in found.items()))
    if damaged := [what for what, problems in found.items() if problems]:
        problem, remedy = summary(found)
        raise ArtifactError(name, f"{', '.join(damaged)} of {len(found)} checked {problem}", remedy)


@click.command("pull")
@click.argument("name")
@click.argument("version", required=False)
@new_storage_option
@click.option("--offline", is_flag=True, help="The version pulled last, without a request to the server.")
@public_key_option
@json_option
def pull_command(name: str, version: str | None, storage: str, offline: bool, public_key: Path | None, as_json: bool) -> None:
    """Download VERSION of model NAME, or its best, into the local cache unless it is there, and print its folder."""
    check_name("NAME", name)
    from ganray.registry.cache import find_pulled, pull, remember
    from ganray.registry.registry import Registry, check_version

    registry = Registry.open(storage)
    requested = registry.model(name) if version is None else registry.model(name).child(check_version(version))
    if offline:
        folder = find_pulled(requested.uri, model=name, version=version, public_key=public_key)
    else:
        with progress_bar("pulling", quiet=as_json) as progress:
            folder = pull(registry.version(name, version)[0], public_key=public_key, progress=progress)
        remember(requested.uri, folder)
    print_json({"folder": str(folder), "manifest": folder.name}) if as_json else click.echo(str(folder))


@click.command("push")
@click.argument("artifact")
@click.argument("name")
@new_storage_option
@public_key_option
@click.option("--export", "exports", multiple=True, type=FORMAT, help="Add the generator in this format, as `ganray export` writes it.")
@click.option("--signing-key", type=LocalPath(), help="Sign the new version with this Ed25519 key, a PEM file.")
@json_option
def push_command(
    artifact: str, name: str, storage: str, exports: tuple[str, ...], public_key: Path | None, signing_key: Path | None, as_json: bool
) -> None:
    """Publish ARTIFACT, the URI of a version's folder in any storage, as the next version of model NAME."""
    check_name("NAME", name)
    from ganray.export.export import FILES, make_export
    from ganray.registry.artifact import open_artifact
    from ganray.registry.push import push
    from ganray.registry.registry import Registry

    source = open_artifact(artifact)
    made = {FILES[to]: make_export(source, to=to, public_key=public_key).data for to in exports}
    version, is_best = push(Registry.open(storage), name, source, exports=made, public_key=public_key, signing_key=signing_key)
    result = {"version": version.uri, "is_best": is_best}
    print_json(result) if as_json else click.echo(f"pushed  {version.uri}{'  best' if is_best else ''}")
