"""`ganray models`: what is published, and which version is the best."""

from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from ganray.cli.options import check_name, json_option, print_json, storage_option, why_option

if TYPE_CHECKING:
    from ganray.registry.alias import Best, Event


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
    from ganray.storage import open_store

    registry = Registry(open_store(storage))
    versions = [version for model in (models or registry.models()) for version in registry.versions(model)]
    if as_json:
        print_json([asdict(version) for version in versions])
        return
    for version in versions:
        when = datetime.fromtimestamp(version.published).strftime("%Y-%m-%d %H:%M")
        score = f"{version.metric.removeprefix('metric/')} {_number(version.score)}"
        images = f"{version.images_seen or 0:,} images"
        click.echo(f"{version.model}  {version.version}  {score}  {images}  {when}{'  best' if version.is_best else ''}")
    if not versions:
        click.echo(f"no models in {storage}")


@models_group.command("show")
@click.argument("name")
@click.argument("version", required=False)
@storage_option
@json_option
def show_command(name: str, version: str | None, storage: str, as_json: bool) -> None:
    """Show VERSION of model NAME, or its best: scores, files and lineage, and the history of the best pointer."""
    check_name("NAME", name)
    from ganray.registry.alias import read_history
    from ganray.registry.registry import Registry, describe
    from ganray.storage import open_store

    registry = Registry(open_store(storage))
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
    from ganray.storage import open_store

    registry = Registry(open_store(storage))
    store, _ = registry.version(name, None)
    best = read_best(registry.model(name))
    print_json({"uri": store.uri, **asdict(best)}) if as_json else click.echo(store.uri)


@models_group.command("promote")
@click.argument("name")
@click.argument("version")
@storage_option
@why_option
@json_option
def promote_command(name: str, version: str, storage: str, why: str, as_json: bool) -> None:
    """Make VERSION the best of model NAME, whatever its score, and write down who did and why."""
    check_name("NAME", name)
    from ganray.registry.promotion import promote
    from ganray.registry.registry import Registry
    from ganray.storage import open_store

    _print_best(name, promote(Registry(open_store(storage)), name, version, why=why), as_json=as_json)


@models_group.command("rollback")
@click.argument("name")
@storage_option
@why_option
@json_option
def rollback_command(name: str, storage: str, why: str, as_json: bool) -> None:
    """Make the version that was the best of model NAME before the best again; once more goes back further."""
    check_name("NAME", name)
    from ganray.registry.promotion import rollback
    from ganray.registry.registry import Registry
    from ganray.storage import open_store

    _print_best(name, rollback(Registry(open_store(storage)), name, why=why), as_json=as_json)


@models_group.command("delete")
@click.argument("name")
@click.argument("version")
@storage_option
@why_option
@click.option("--pinned-too", is_flag=True, help="Even if the history of the best pointer names it.")
@json_option
def delete_command(name: str, version: str, storage: str, why: str, pinned_too: bool, as_json: bool) -> None:
    """Delete VERSION of model NAME, never its best; its number is not used again."""
    check_name("NAME", name)
    from ganray.registry.deletion import delete_version
    from ganray.registry.registry import Registry
    from ganray.storage import open_store

    delete_version(Registry(open_store(storage)), name, version, why=why, pinned_too=pinned_too)
    print_json({"model": name, "deleted": version}) if as_json else click.echo(f"deleted  {name} {version}")


def _print_best(name: str, best: "Best", *, as_json: bool) -> None:
    print_json({"model": name, **asdict(best)}) if as_json else click.echo(f"best of {name}  {best.version}")


def _lines(facts: dict[str, Any]) -> list[str]:
    """Return the facts of a version that fit on a screen; --json has the rest."""
    lineage = facts["lineage"]
    shown = {name: facts[name] for name in ("model", "version", "uri", "manifest", "signed")}
    shown |= {name: _number(value) for name, value in facts["scores"].items()}
    shown |= {name: lineage[name] for name in ("run", "checkpoint", "images_seen", "seed", "parent", "git_revision") if lineage.get(name)}
    shown |= {"files": ", ".join(f"{name} ({size:,} bytes)" for name, size in facts["files"].items())}
    return [f"{name:<20}{value}" for name, value in shown.items()]


def _event_line(event: "Event") -> str:
    if event.kind == "delete":
        return f"{event.when}  delete    {', '.join(event.versions)}  by {event.who}: {event.why}"
    scores = f"{_number(event.from_score)} -> {_number(event.to_score)}"
    return f"{event.when}  {event.kind:<8}  {event.from_version or '-'} -> {event.to_version} ({scores})  by {event.who}: {event.why}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
