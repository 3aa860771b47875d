"""Moving a model's best alias: to a better score by a publisher, or by hand to any version, or back (rollback)."""

from collections.abc import Callable

from ganray.errors import ArtifactError, ConfigError
from ganray.metrics.score import Protocol
from ganray.registry.alias import Best, EventKind, move_alias, read_history, read_tagged_best, referenced_versions, rollback_targets
from ganray.registry.manifest import find_manifest, read_manifest
from ganray.registry.registry import Registry, read_metrics
from ganray.registry.verify import damage
from ganray.storage import ObjectStore


def promote_if_better(model: ObjectStore, number: str, score: float, protocol: Protocol, *, rescore: Callable[[str], float | None]) -> bool:
    """Point a model's best at a version if its score is better by `protocol`, and return whether it now is the best.

    An incumbent that was scored by another protocol is scored by this one by `rescore(its number)`; None means that it cannot
    be, and the incumbent stays. A version that was the best before and is no more is not promoted again by its score: a
    publication that is replayed undoes no rollback.
    """
    model.check_conditional_writes()
    while True:
        seen = read_tagged_best(model)
        if seen:
            best = seen.best
            if best.version == number:
                return True
            incumbent = best.score if best.protocol == protocol else rescore(best.version)
            if incumbent is None or not protocol.is_better(score, than=incumbent):
                return False
            if number in referenced_versions(model) or is_deleted(model, best, number):
                return False
        if move_alias(model, seen, "publish", Best(number, score, protocol), "a better score" if seen else "the first version"):
            return True


def promote(registry: Registry, name: str, number: str, *, why: str) -> Best:
    """Point a model's best at a version of any score, and return the alias's new state.

    Raises `ConfigError` for the version that it names already, and `ArtifactError` for one that is missing or damaged.
    """
    version, number = registry.version(name, number)
    if problems := damage(version):
        remedy = "name a version that `ganray models verify` finds undamaged"
        raise ArtifactError("VERSION", f"{number} is damaged: {problems[0]}", remedy)
    target = _target(version, number)
    return _move(registry.model(name), "promote", lambda: target, why=why)


def rollback(registry: Registry, name: str, *, why: str) -> Best:
    """Point a model's best at the version that it named before, and return the alias's new state. Repeated, it goes back further.

    Raises `ArtifactError` if there is no such version any more.
    """
    model = registry.existing(name)
    return _move(model, "rollback", lambda: _previous(model, name), why=why)


def is_deleted(model: ObjectStore, best: Best | None, number: str) -> bool:
    """Whether a version is missing, deleted, or under deletion. Asked after `best` was read: a later deletion fails the swap."""
    manifest = find_manifest(model.child(number))
    return manifest is None or manifest.deleted is not None or (best is not None and number in best.deleting)


def _move(model: ObjectStore, kind: EventKind, choose: Callable[[], Best], *, why: str) -> Best:
    """Move the alias to what `choose` returns; if another process moved it first, choose and try again."""
    model.check_conditional_writes()
    while True:
        seen = read_tagged_best(model)
        target = choose()
        if seen and seen.best.version == target.version:
            raise ConfigError("VERSION", f"{target.version} is the best already", "name another version")
        if is_deleted(model, seen.best if seen else None, target.version):
            raise ArtifactError("VERSION", f"{target.version} is missing, or was deleted", "name one that `ganray models list` shows")
        if move_alias(model, seen, kind, target, why):
            return target


def _previous(model: ObjectStore, name: str) -> Best:
    """Return the nearest version that the alias named before and that still exists."""
    for number in rollback_targets(read_history(model)):
        version = model.child(number)
        manifest = find_manifest(version)
        if manifest and not manifest.deleted:
            return _target(version, number)
    raise ArtifactError("NAME", f"the best of model {name!r} has no earlier version that still exists", "promote one instead")


def _target(version: ObjectStore, number: str) -> Best:
    """Return the state of an alias that names a version, with the score that it was published with."""
    metrics = read_metrics(version, read_manifest(version))
    if metrics.score is None:
        raise ArtifactError(version.uri, f"has no score of {metrics.protocol.metric}", "name a version that was scored")
    return Best(number, metrics.score, metrics.protocol)
