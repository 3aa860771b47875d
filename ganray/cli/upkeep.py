"""`ganray models verify`, `pull`, `push` and `gc`: keeping a registry whole, small, and where it is needed."""

from dataclasses import asdict
from pathlib import Path

import click

from ganray.cli.display import progress_bar
from ganray.cli.options import check_name, json_option, print_json, public_key_option, storage_option
from ganray.errors import ArtifactError

DAY_S = 86_400


@click.command("verify")
@click.argument("name")
@click.argument("version", required=False)
@storage_option
@public_key_option
@json_option
def verify_command(name: str, version: str | None, storage: str, public_key: Path | None, as_json: bool) -> None:
    """Hash every file of model NAME again, or of one VERSION, and follow its best pointer and history."""
    check_name("NAME", name)
    from ganray.registry.registry import Registry
    from ganray.registry.verify import verify_model
    from ganray.storage import open_store

    found = verify_model(Registry(open_store(storage)), name, version, public_key=public_key)
    if as_json:
        print_json([{"what": what, "whole": not problems, "problems": problems} for what, problems in found.items()])
    else:
        click.echo("\n".join(f"{name} {what}  {'; '.join(problems) or 'whole'}" for what, problems in found.items()))
    if damaged := [what for what, problems in found.items() if problems]:
        raise ArtifactError(name, f"{', '.join(damaged)} of {len(found)} checked is not whole", "restore it from a copy, or delete it")


@click.command("pull")
@click.argument("name")
@click.argument("version", required=False)
@storage_option
@click.option("--offline", is_flag=True, help="What was pulled last, without asking the server.")
@public_key_option
@json_option
def pull_command(name: str, version: str | None, storage: str, offline: bool, public_key: Path | None, as_json: bool) -> None:
    """Fetch VERSION of model NAME, or its best, into the local cache, and print its folder; what is there is not fetched again."""
    check_name("NAME", name)
    from ganray.registry.cache import pull, pulled, remember
    from ganray.registry.registry import Registry, check_version
    from ganray.storage import child, open_store

    registry = Registry(open_store(storage))
    asked = registry.model(name) if version is None else child(registry.model(name), check_version(version))
    if offline:
        folder = pulled(asked.uri, public_key=public_key)
    else:
        with progress_bar("pulling", quiet=as_json) as progress:
            folder = pull(registry.version(name, version)[0], public_key=public_key, progress=progress)
        remember(asked.uri, folder)
    print_json({"folder": str(folder), "manifest": folder.name}) if as_json else click.echo(str(folder))


@click.command("push")
@click.argument("artifact")
@click.argument("name")
@storage_option
@public_key_option
@click.option("--signing-key", type=click.Path(path_type=Path), help="Sign the new version with this Ed25519 key, a PEM file.")
@json_option
def push_command(artifact: str, name: str, storage: str, public_key: Path | None, signing_key: Path | None, as_json: bool) -> None:
    """Publish ARTIFACT, a version's folder from anywhere, as the next version of model NAME."""
    check_name("NAME", name)
    from ganray.registry.artifact import open_artifact
    from ganray.registry.push import push
    from ganray.registry.registry import Registry
    from ganray.storage import open_store

    version, is_best = push(Registry(open_store(storage)), name, open_artifact(artifact), public_key=public_key, signing_key=signing_key)
    result = {"version": version.uri, "is_best": is_best}
    print_json(result) if as_json else click.echo(f"pushed  {version.uri}{'  best' if is_best else ''}")


@click.command("gc")
@click.argument("name", required=False)
@storage_option
@click.option("--keep", default=5, show_default=True, type=click.IntRange(0), help="Newest versions to keep.")
@click.option("--days", default=30.0, show_default=True, type=click.FloatRange(0), help="Days that everything is kept.")
@click.option("--yes", is_flag=True, help="Remove it; without, only say what would go.")
@json_option
def gc_command(name: str | None, storage: str, keep: int, days: float, yes: bool, as_json: bool) -> None:
    """Find what nothing points to in model NAME, or in all: old versions, unfinished ones, leftovers. Removes nothing without --yes."""
    models = [check_name("NAME", name)] if name else None
    from ganray.registry.deletion import collect, plan_collection, plan_leftovers
    from ganray.registry.registry import Registry
    from ganray.storage import open_store

    registry = Registry(open_store(storage))
    known = registry.claimed_models()
    if name and name not in known:
        raise ArtifactError(
            "NAME", f"there is no model {name!r} in {registry.storage.uri}", f"its models: {', '.join(known) or 'none yet'}"
        )
    found = [removal for model in (models or known) for removal in plan_collection(registry, model, keep=keep, older_than_s=days * DAY_S)]
    found += [removal for removal in plan_leftovers(registry, older_than_s=days * DAY_S) if not models or removal.model in models]
    if yes:
        collect(registry, found, why="gc: nothing points to it")
    if as_json:
        print_json({"removed": yes, "found": [asdict(removal) for removal in found]})
        return
    for removal in found:
        click.echo(f"{removal.model}  {removal.version or removal.key}  {removal.size:,} bytes  {removal.why}")
    total = sum(removal.size for removal in found)
    click.echo(f"{'removed' if yes else 'would remove (say --yes)'} {len(found)}, {total:,} bytes" if found else "nothing to remove")
