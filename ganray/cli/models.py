"""`ganray models`: listing published versions, moving the best alias, deletion and garbage collection."""

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from ganray.cli.listing import aligned, print_json, print_table
from ganray.cli.options import FiniteRange, check_name, json_option, storage_option, why_option

if TYPE_CHECKING:
    from ganray.registry.alias import Best, Event
    from ganray.registry.deletion import Removal
    from ganray.registry.registry import Version


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

    registry = Registry.open(storage)
    versions = [version for model in (models or registry.models()) for version in registry.versions(model)]
    if as_json:
        print_json([asdict(version) for version in versions])
        return
    if versions:
        print_table(("model", "version", "score", "images", "published", ""), [_row(version) for version in versions])
    else:
        click.echo(f"no models in {storage}")


@models_group.command("show")
@click.argument("name")
@click.argument("version", required=False)
@storage_option
@json_option
def show_command(name: str, version: str | None, storage: str, as_json: bool) -> None:
    """Show VERSION of model NAME, or its best: scores, files and lineage, and the history of the best alias."""
    check_name("NAME", name)
    from ganray.registry.alias import read_history
    from ganray.registry.registry import Registry, describe

    registry = Registry.open(storage)
    store, number = registry.version(name, version)
    facts = {"model": name, "version": number, "uri": store.uri, **describe(store)}
    events = read_history(registry.model(name))
    if as_json:
        print_json({**facts, "history": [asdict(event) for event in events]})
        return
    click.echo("\n".join(_lines(facts)))
    click.echo("\n".join(_event_line(event) for event in events))


@models_group.command("best")
@click.argument("name")
@storage_option
@json_option
def best_command(name: str, storage: str, as_json: bool) -> None:
    """Print the URI of the best version of model NAME."""
    check_name("NAME", name)
    from ganray.registry.alias import read_best
    from ganray.registry.registry import Registry

    registry = Registry.open(storage)
    version, _ = registry.version(name)
    best = read_best(registry.model(name))
    print_json({"uri": version.uri, **(best.dump() if best else {})}) if as_json else click.echo(version.uri)


@models_group.command("promote")
@click.argument("name")
@click.argument("version")
@storage_option
@why_option
@json_option
def promote_command(name: str, version: str, storage: str, why: str, as_json: bool) -> None:
    """Make VERSION, of any score, the best of model NAME, and record who did so and why."""
    check_name("NAME", name)
    from ganray.registry.promotion import promote
    from ganray.registry.registry import Registry

    _print_best(name, promote(Registry.open(storage), name, version, why=why), as_json=as_json)


@models_group.command("rollback")
@click.argument("name")
@storage_option
@why_option
@json_option
def rollback_command(name: str, storage: str, why: str, as_json: bool) -> None:
    """Make the previous best of model NAME the best again. Repeated, it goes back further."""
    check_name("NAME", name)
    from ganray.registry.promotion import rollback
    from ganray.registry.registry import Registry

    _print_best(name, rollback(Registry.open(storage), name, why=why), as_json=as_json)


@models_group.command("delete")
@click.argument("name")
@click.argument("version")
@storage_option
@why_option
@click.option("--pinned-too", is_flag=True, help="Even if the history of the best alias names it.")
@json_option
def delete_command(name: str, version: str, storage: str, why: str, pinned_too: bool, as_json: bool) -> None:
    """Delete VERSION of model NAME, never its best; its number is not used again."""
    check_name("NAME", name)
    from ganray.registry.deletion import delete_version
    from ganray.registry.registry import Registry

    delete_version(Registry.open(storage), name, version, why=why, pinned_too=pinned_too)
    print_json({"model": name, "deleted": version}) if as_json else click.echo(f"deleted  {name} {version}")


@models_group.command("gc")
@click.argument("name", required=False)
@storage_option
@click.option("--keep", default=5, show_default=True, type=click.IntRange(0), help="Newest versions to keep.")
@click.option("--days", default=30.0, show_default=True, type=FiniteRange(0, 1_000_000), help="Keep all that is younger than this.")
@click.option("--yes", is_flag=True, help="Remove the garbage; without, only list it.")
@json_option
def gc_command(name: str | None, storage: str, keep: int, days: float, yes: bool, as_json: bool) -> None:
    """List the garbage of model NAME, or of all: unreferenced versions, unfinished ones, leftovers. With --yes, remove it."""
    if name:
        check_name("NAME", name)
    from ganray.registry.deletion import collect, plan_garbage
    from ganray.registry.registry import Registry

    registry = Registry.open(storage)
    found = plan_garbage(registry, name, keep=keep, older_than_s=timedelta(days=days).total_seconds())
    if yes:
        collect(registry, found, why="gc: nothing points to it")
    if as_json:
        print_json({"removed": yes, "found": [asdict(removal) for removal in found]})
    else:
        click.echo("\n".join(_garbage_lines(found, removed=yes)))


def _garbage_lines(found: "list[Removal]", *, removed: bool) -> list[str]:
    """Return a line for each removal, and one for all of them."""
    lines = [f"{removal.model}  {removal.version or removal.key}  {removal.size:,} bytes  {removal.why}" for removal in found]
    total = sum(removal.size for removal in found)
    verb = "removed" if removed else "would remove, with --yes,"
    return [*lines, f"{verb} {len(found)}, {total:,} bytes" if found else "nothing to remove"]


def _print_best(name: str, best: "Best", *, as_json: bool) -> None:
    print_json({"model": name, **best.dump()}) if as_json else click.echo(f"best of {name}  {best.version}")


def _row(version: "Version") -> tuple[str, ...]:
    """Return a version as a row of a listing."""
    when = datetime.fromtimestamp(version.published).strftime("%Y-%m-%d %H:%M")
    score = f"{version.metric.removeprefix('metric/')} {_number(version.score)}"
    return version.model, version.version, score, f"{version.images_seen or 0:,}", when, "best" if version.is_best else ""


def _lines(facts: dict[str, Any]) -> list[str]:
    """Return the main facts of a version, one a line; --json has all."""
    lineage = facts["lineage"]
    shown = {name: facts[name] for name in ("model", "version", "uri", "manifest", "signed")}
    shown |= {name: _number(value) for name, value in facts["scores"].items()}
    shown |= {name: lineage[name] for name in ("run", "checkpoint", "images_seen", "seed", "parent", "git_revision") if lineage.get(name)}
    shown |= {"files": ", ".join(f"{name} ({size:,} bytes)" for name, size in facts["files"].items())}
    return aligned(shown)


def _event_line(event: "Event") -> str:
    if event.kind == "delete":
        return f"{event.when}  delete    {', '.join(event.versions)}  by {event.who}: {event.why}"
    scores = f"{_number(event.from_score)} -> {_number(event.to_score)}"
    return f"{event.when}  {event.kind:<8}  {event.from_version or '-'} -> {event.to_version} ({scores})  by {event.who}: {event.why}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
